package dev.zoetrope.training.dit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.models.dit.DitPipeline;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way, very small: train on pixels, export, load, draw a class by its name. */
class DitTrainingTest {
    private static final String RECIPE =
            """
            system: dit
            latents: pixels
            data: {objects: [fox, car], size: 16x16, batch: 2}
            model: {patch_size: 8, hidden_size: 16, layers: 1, heads: 2}
            dit: {steps: 2, pool: 4, uses: 2, ema_decay: 0.9}
            """;

    @Test
    void whatIsTrainedDrawsItsClasses(@TempDir Path folder) throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        Path run = folder.resolve("run");
        assertThat(Training.run(recipe, Map.of(), run, false, new TrainingListener() {}))
                .isTrue();
        try (DitPipeline model = DitPipeline.load(run.resolve("model"));
                Draws draws = Draws.perSample(List.of(1L, 2L));
                Scope s = Scope.open()) {
            assertThat(model.label("Car")).isEqualTo(1);
            assertThatThrownBy(() -> model.label("boat"))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("none of the 2");
            Tensor pictures = model.generate(List.of(0, 1), 2, 3, draws, Denoising.Observer.NONE);
            assertThat(pictures.shape()).containsExactly(2, 3, 16, 16);
            assertThat(pictures.isfinite().all()).isTrue();
        }
    }
}
