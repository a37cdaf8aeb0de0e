package dev.zoetrope.training.sora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.media.Clip;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Start;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way, very small: train, stop, go on, export, load, generate. */
class SoraTrainingTest {
    private static final String RECIPE =
            """
            system: sora
            seed: 3
            world: {first: 4}
            buckets:
              - {frames: 8, size: 32x32, weight: 2, batch: 2}
              - {frames: 1, size: 48x32, weight: 1, batch: 2}
            model:
              autoencoder:  {latent_channels: 8, width: 16, bottleneck_width: 16, encoder_blocks: 1, decoder_blocks: 1}
              text_encoder: {width: 32, layers: 1, heads: 2, queries: 3}
              transformer:  {hidden_size: 32, layers: 1, heads: 2}
            autoencoder: {steps: 2, groups: 4, ema_decay: 0.9, sample_every: 2}
            text: {steps: 2, batch: 4}
            video: {steps: 4, pool: 4, uses: 2, ema_decay: 0.9, sample_steps: 2}
            """;

    @TempDir
    static Path folder;

    private static Path recipe;
    private static Path straight;

    @BeforeAll
    static void trainOnce() throws IOException {
        recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        straight = folder.resolve("straight");
        assertThat(Training.run(recipe, Map.of(), straight, false, new TrainingListener() {}))
                .isTrue();
    }

    @Test
    void aStoppedRunGoesOnToTheSameWeights() {
        Path stopped = folder.resolve("stopped");
        boolean done = Training.run(recipe, Map.of(), stopped, false, new TrainingListener() {
            private boolean video;

            @Override
            public void stage(String name, long firstStep, long steps) {
                video = name.equals("video");
            }

            @Override
            public boolean step(long step, long steps) {
                return !(video && step == 2);
            }
        });
        assertThat(done).isFalse();
        assertThat(Training.run(recipe, Map.of(), stopped, true, new TrainingListener() {}))
                .isTrue();
        String weights = "model/transformer/model.safetensors";
        assertThat(stopped.resolve(weights)).hasSameBinaryContentAs(straight.resolve(weights));
    }

    @Test
    void theExportedModelMakesTheSameClipFromTheSameSeed() {
        TextToVideo.Request request = TextToVideo.Request.of("a car going left on a zxq red background")
                .withSize(48, 32)
                .withFrames(5)
                .withSteps(3)
                .withSeed(7);
        try (TextToVideo model = TextToVideo.load(straight.resolve("model"))) {
            Clip once = model.generate(request, Progress.NONE).clip();
            Clip again = model.generate(request, Progress.NONE).clip();
            Clip other = model.generate(request.withSeed(8), Progress.NONE).clip();
            assertThat(once.frames()).hasSize(5).isEqualTo(again.frames()).isNotEqualTo(other.frames());
            assertThat(once.width()).isEqualTo(48);
            assertThat(model.generate(request, Progress.NONE).unknownWords()).containsExactly("zxq");
            assertThatThrownBy(() -> model.generate(request, (step, steps) -> false))
                    .isInstanceOf(CancellationException.class);
            String endless = "car ".repeat(100);
            assertThatThrownBy(() -> model.generate(endless))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("100 words");
        }
    }

    @Test
    void anotherRunsFolderIsNotOverwritten() {
        assertThatThrownBy(() -> Training.run(recipe, Map.of(), straight, false, new TrainingListener() {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("--resume");
    }

    @Test
    void twoTrainingsDoNotShareAFolder() {
        Path shared = folder.resolve("shared");
        TrainingListener second = new TrainingListener() {
            @Override
            public boolean step(long step, long steps) {
                assertThatThrownBy(() -> Training.run(recipe, Map.of(), shared, true, new TrainingListener() {}))
                        .isInstanceOf(UserError.class)
                        .hasMessageContaining("another training");
                return false;
            }
        };
        assertThat(Training.run(recipe, Map.of(), shared, false, second)).isFalse();
    }

    @Test
    void aCutCheckpointIsRefusedByName() throws IOException {
        Path copy = folder.resolve("cut");
        for (String part : List.of("autoencoder", "text_encoder", "transformer", "tokenizer")) {
            Files.createDirectories(copy.resolve(part));
            try (var files = Files.list(straight.resolve("model").resolve(part))) {
                for (Path f : files.toList()) {
                    Files.copy(f, copy.resolve(part).resolve(f.getFileName()));
                }
            }
        }
        Files.copy(straight.resolve("model/model_index.json"), copy.resolve("model_index.json"));
        Path weights = copy.resolve("transformer/model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        Files.write(weights, Arrays.copyOf(bytes, bytes.length / 2));
        assertThatThrownBy(() -> TextToVideo.load(copy).close())
                .isInstanceOf(UserError.class)
                .hasMessageContaining("model.safetensors");
    }

    @Test
    void framesGivenAndClipsPackedMakeAModelThatStartsFromAPicture() {
        Path run = folder.resolve("given");
        Map<String, String> changes = Map.of("video.given", "0.8", "video.packed_row", "64", "video.steps", "2");
        assertThat(Training.run(recipe, changes, run, false, new TrainingListener() {}))
                .isTrue();
        TextToVideo.Request request = TextToVideo.Request.of("a car going left on a red background")
                .withSize(32, 32)
                .withFrames(8)
                .withSteps(2);
        try (TextToVideo model = TextToVideo.load(run.resolve("model"))) {
            Clip clip = model.generate(request, Progress.NONE).clip();
            Start.FirstFrame picture = new Start.FirstFrame(clip.frames().get(0));
            Clip from =
                    model.generate(request.withStart(picture), Progress.NONE).clip();
            assertThat(from.frames()).hasSize(8).startsWith(clip.frames().get(0));
            assertThat(model.generate(request.withStart(new Start.After(clip)), Progress.NONE)
                            .clip()
                            .frames())
                    .hasSize(8);
        }
    }

    @Test
    void theLossOfPackedClipsIsThatOfEachSizeAlone() {
        Json json = Recipe.read(recipe, Map.of()).settings();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                RandomSource random = RandomSource.of(5);
                Sora sora = Sora.load(straight.resolve("model"));
                VideoStage stage = new VideoStage(sora, SoraData.of(json, 3), json.at("video"))) {
            List<VideoStage.Drawn> drawn =
                    List.of(stage.draw(0, 0, random, new Random(1)), stage.draw(1, 0, random, new Random(2)));
            List<Tensor> packed = stage.packedErrors(drawn, 40, new Metrics());
            for (int i = 0; i < drawn.size(); i++) {
                float[] alone = stage.errors(drawn.get(i)).toFloats();
                assertThat(packed.get(i).toFloats()).containsExactly(alone, within(1e-5f));
            }
        }
    }

    @Test
    void aUnetTakesTheTransformersPlace() throws IOException {
        String unet =
                "unet: {block_out_channels: [16, 32], layers_per_block: 1, attention_head_dim: 8, norm_num_groups: 8,"
                        + " down_block_types: [CrossAttnDownBlock3D, DownBlock3D],"
                        + " up_block_types: [UpBlock3D, CrossAttnUpBlock3D]}";
        Path other = Files.writeString(
                folder.resolve("unet.yaml"),
                RECIPE.replace("transformer:  {hidden_size: 32, layers: 1, heads: 2}", unet));
        Path run = folder.resolve("unet");
        assertThat(Training.run(other, Map.of("video.steps", "2"), run, false, new TrainingListener() {}))
                .isTrue();
        try (TextToVideo model = TextToVideo.load(run.resolve("model"))) {
            TextToVideo.Request request = TextToVideo.Request.of("a car going left on a red background")
                    .withSize(48, 32)
                    .withFrames(5)
                    .withSteps(2);
            assertThat(model.generate(request, Progress.NONE).clip().frames()).hasSize(5);
        }
    }

    @Test
    void theAutoencoderStartsAtThePrincipalComponents() {
        try (Scope s = Scope.open()) {
            Map<String, Tensor> saved = Safetensors.read(straight.resolve("model/autoencoder/model.safetensors"));
            double std = saved.get("latents_std").item();
            assertThat(std).isBetween(.5, 2.);
            assertThat(saved.get("encoder.analysis.weight").shape()).containsExactly(8, 768, 1, 1);
        }
    }
}
