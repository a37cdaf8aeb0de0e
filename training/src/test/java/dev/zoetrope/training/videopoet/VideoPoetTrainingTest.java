package dev.zoetrope.training.videopoet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.tasks.AudioTokenizer;
import dev.zoetrope.tasks.GeneratedVideo;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Start;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tasks.Tokens;
import dev.zoetrope.tasks.VideoTokenizer;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.world.WorldObjects;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way, very small: train, export, load, make, go on, tokenise, measure. */
class VideoPoetTrainingTest {
    private static final String RECIPE =
            """
            system: videopoet
            seed: 3
            world: {first: 3}
            buckets:
              - {frames: 9, size: 16x16, batch: 2}
              - {frames: 1, size: 16x16, batch: 2}
            model:
              vision_tokenizer: {width: 8, bottleneck_width: 16, blocks: 1, quantizer: lfq, codebooks: 2, bits: 3}
              sound_tokenizer: {hop: 400, width: 16, blocks: 1, n_codebooks: 2, codebook_size: 8}
              transformer: {width: 32, layers: 1, heads: 2}
              upscaler: {width: 16, blocks: 1, heads: 2}
            vision: {steps: 2, batch: 2, disc_weight: 0.1, discriminator: {base_channels: 4, layers: 1}}
            sound: {steps: 2, batch: 1}
            tokens: {steps: 4, pool: 4, uses: 1, pictures_first: 0.3,
              mix: {video: 1, image: 1, complete: 1, sound: 1}}
            upscale: {steps: 2, batch: 1, pool: 2}
            """;

    private static final Clip GREY = new Clip(Collections.nCopies(6, Image.filled(16, 16, 0x808080)), 8);

    @TempDir
    private Path folder;

    @Test
    void aModelIsTrainedAndDoesAllItsTasks() throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        Path run = folder.resolve("run");
        assertThat(Training.run(recipe, Map.of(), run, false, new TrainingListener() {}))
                .isTrue();
        Path model = run.resolve("model");
        try (TextToVideo task = TextToVideo.load(model)) {
            TextToVideo.Request r = task.request("a fox bouncing").withSeed(5);
            GeneratedVideo one = task.generate(r, Progress.NONE);
            assertThat(one.clip().frames()).hasSize(9);
            Audio sound = one.clip().audio();
            assertThat(sound).isNotNull();
            assertThat(sound.seconds()).isEqualTo(9 / 8.);
            assertThat(task.generate(r, Progress.NONE).clip()).isEqualTo(one.clip());
            frames(task, r.withFrames(13), 13, 13);
            Clip large = task.generate(r.withSize(32, 32), Progress.NONE).clip();
            assertThat(large.width()).isEqualTo(32);
            assertThat(large.frames()).hasSize(9);
            frames(task, r.withFrames(1), 1, 0);
            frames(task, r.withStart(new Start.FirstFrame(Image.filled(20, 20, 0x204060))), 9, 9);
            frames(task, task.fitted(r.withFrames(4).withStart(new Start.After(GREY))), 4, 4);
            frames(task, task.fitted(r.withStart(new Start.Between(GREY, GREY))), 7, 7);
            frames(task, task.fitted(r.withStart(new Start.Before(GREY))), 5, 5);
            frames(task, task.fitted(r.withStart(new Start.Silent(GREY))), 6, 6);
            assertThatThrownBy(() -> task.generate(r.withFrames(7), Progress.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("nearest is 9");
            assertThatThrownBy(() -> task.generate(r.withStart(new Start.Loop()), Progress.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("cannot loop");
        }
        tokens(model);
        try (VideoPoet poet = VideoPoet.load(model);
                ObjectJudge judge = ObjectJudge.builtIn()) {
            VideoPoetEvaluation evaluation = new VideoPoetEvaluation(poet, judge, WorldObjects.first(3), 1, 2);
            assertThat(VideoPoetEvaluation.table(evaluation.run(Progress.NONE))).contains("clip to sound");
        }
    }

    private static void frames(TextToVideo task, TextToVideo.Request r, int frames, int heard) {
        Clip clip = task.generate(r, Progress.NONE).clip();
        assertThat(clip.frames()).hasSize(frames);
        Audio audio = clip.audio();
        assertThat(audio == null ? 0 : audio.seconds()).isEqualTo(heard / 8.);
    }

    private static void tokens(Path model) {
        Audio silence = Audio.mono(new float[700], 8000);
        try (Scope s = Scope.open();
                VideoTokenizer pictures = VideoTokenizer.load(model);
                AudioTokenizer sounds = AudioTokenizer.load(model.resolve("sound_tokenizer"))) {
            Tokens seen = pictures.encode(GREY);
            assertThat(pictures.decode(seen).frames()).hasSize(6);
            Tokens heard = sounds.encode(silence);
            assertThat(sounds.decode(heard).length()).isEqualTo(1400);
            assertThatThrownBy(() -> pictures.decode(heard))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("videopoet-sound")
                    .hasMessageContaining("videopoet-vision");
            assertThatThrownBy(() -> sounds.encode(Audio.mono(new float[0], 8000)))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("no samples");
        }
    }

    @Test
    void bucketsOfClipsAndPicturesAreNeeded() throws IOException {
        Path recipe = Files.writeString(
                folder.resolve("recipe.yaml"), RECIPE.replace("  - {frames: 1, size: 16x16, batch: 2}\n", ""));
        assertThatThrownBy(() -> Training.run(
                        recipe,
                        Map.of("vision.steps", "0", "sound.steps", "0"),
                        folder.resolve("r"),
                        false,
                        new TrainingListener() {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("one of pictures");
        assertThat(List.of(folder.resolve("r").resolve("model"))).noneMatch(Files::exists);
    }
}
