package dev.zoetrope.training.seeing;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Classify;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.ZeroShot;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole way, very small: train, export, load as any release. */
class SeeingTrainingTest {
    private static final String VIT =
            """
            system: vit
            world: {first: 3}
            model: {image_size: 32, patch_size: 8, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
            training: {steps: 80, workers: 1, batch: 16, rate: 5.0e-3, warmup: 2, report_every: 5, mixup: %s}
            """;
    private static final String PAIR =
            """
            system: %s
            world: {first: 3}
            model:
              projection_dim: 32
              vision_config: {image_size: 32, patch_size: 16, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
              text_config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
            training: {steps: 2, workers: 2, batch: 6, part: 4}
            """;

    @TempDir
    private Path folder;

    private Path train(String recipe, List<Double> losses) throws IOException {
        Path file = Files.writeString(folder.resolve("recipe.yaml"), recipe);
        Path run = folder.resolve("run");
        boolean done = Training.run(file, Map.of(), run, false, new TrainingListener() {
            @Override
            public void report(long step, Map<String, Double> values) {
                losses.add(values.get("loss"));
            }
        });
        assertThat(done).isTrue();
        return run.resolve("model");
    }

    @ParameterizedTest
    @ValueSource(strings = {"0.0", "0.2"})
    void aVitLearnsItsObjectsAndKnowsTheirNames(String mixup) throws IOException {
        List<Double> losses = new ArrayList<>();
        Path model = train(String.format(VIT, mixup), losses);
        assertThat(losses.get(losses.size() - 1)).isLessThan(losses.get(0));
        try (Classify task = Classify.load(model)) {
            assertThat(task.labels()).hasSize(3);
            assertThat(task.top(Image.filled(40, 30, 0x00ff00), 5)).hasSize(3);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"clip", "siglip"})
    void aPairOfTowersIsLoadedAsItsRelease(String system) throws IOException {
        Path model = train(String.format(PAIR, system), new ArrayList<>());
        try (ZeroShot task = ZeroShot.of(Embed.load(model), List.of("a fox", "a red car"), List.of())) {
            assertThat(task.classify(Image.filled(40, 30, 0x00ff00))).hasSize(2);
        }
    }
}
