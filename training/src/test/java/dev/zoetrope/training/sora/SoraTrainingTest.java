package dev.zoetrope.training.sora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.media.Clip;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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
    void theAutoencoderStartsAtThePrincipalComponents() {
        try (Scope s = Scope.open()) {
            Map<String, Tensor> saved = Safetensors.read(straight.resolve("model/autoencoder/model.safetensors"));
            double std = saved.get("latents_std").item();
            assertThat(std).isBetween(.5, 2.);
            assertThat(saved.get("encoder.analysis.weight").shape()).containsExactly(8, 768, 1, 1);
        }
    }
}
