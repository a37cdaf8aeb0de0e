package dev.zoetrope.training.blip2;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Caption;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Retrieve;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way, very small: four stages, then both models as any release is used. */
class Blip2TrainingTest {
    private static final String RECIPE =
            """
            system: blip2
            world: {first: 3}
            model:
              num_query_tokens: 4
              image_text_hidden_size: 8
              vision_config: {image_size: 32, patch_size: 16, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}
              qformer_config: {hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32}
              text_config: {hidden_size: 16, ffn_dim: 32, num_hidden_layers: 1, num_attention_heads: 2}
            vision: {steps: 2, workers: 1, batch: 4}
            language: {steps: 2, workers: 1, batch: 4}
            stage1: {steps: 2, workers: 2, batch: 3, freeze: ["^vision_model"]}
            stage2: {steps: 2, workers: 1, batch: 4, freeze: ["^vision_model", "^language_model"]}
            """;
    private static final List<Image> PICTURES =
            List.of(Image.filled(40, 30, 0x00ff00), Image.filled(32, 32, 0xff0000), Image.filled(30, 40, 0x0000ff));

    @Test
    void whatIsTrainedCaptionsAndFinds(@TempDir Path folder) throws IOException {
        Path run = folder.resolve("run");
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        assertThat(Training.run(recipe, Map.of(), run, false, new TrainingListener() {}))
                .isTrue();

        try (Caption task = Caption.load(run.resolve("caption"))) {
            assertThat(task.of(PICTURES, Caption.Options.DEFAULT.withMaxTokens(5)))
                    .hasSize(3);
        }
        try (Retrieve task = Retrieve.load(run.resolve("retrieval"))) {
            List<float[]> index = task.index(PICTURES);
            List<Retrieve.Found> found = task.pictures("a fox on red", index, PICTURES::get, 3, 2);
            assertThat(found).extracting(Retrieve.Found::index).containsExactlyInAnyOrder(0, 1, 2);
            assertThat(found.get(0).match()).isBetween(0.0, 1.0);
            assertThat(found.get(2).match()).isNaN(); // only the two most similar ones were read again
            assertThat(task.texts(PICTURES.get(0), List.of("red", "a fox"), 1, 0))
                    .hasSize(1);
        }
        theEncoderIsTheSameInBoth(run);
        assertThat(Blip2Evaluation.table(Blip2Evaluation.run(run, 4, Progress.NONE)))
                .contains("object and style seen");
    }

    /** It is frozen in both stages. */
    private static void theEncoderIsTheSameInBoth(Path run) {
        try (Scope s = Scope.open()) {
            Map<String, Tensor> first = Safetensors.read(run.resolve("retrieval/model.safetensors"));
            Map<String, Tensor> second = Safetensors.read(run.resolve("caption/model.safetensors"));
            String name = "vision_model.encoder.layers.0.mlp.fc1.weight";
            assertThat(second.get(name).toFloats()).isEqualTo(first.get(name).toFloats());
        }
    }
}
