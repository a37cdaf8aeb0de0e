package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.ldm.StableDiffusion;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A pipeline that came in one file, as a folder. */
class PipelineSavingTest {
    private static final Path SINGLE = Path.of("cases/ldm/single-file-sd1/model/model.safetensors");

    @TempDir
    Path folder;

    @Test
    void aSavedPipelineDrawsTheSamePicture() {
        Path saved = folder.resolve("saved");
        float[] before;
        try (StableDiffusion pipeline = StableDiffusion.load(SINGLE)) {
            before = picture(pipeline);
            pipeline.save(saved);
            assertThatThrownBy(() -> pipeline.save(saved))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("is there already");
        }
        try (StableDiffusion pipeline = StableDiffusion.load(saved)) {
            assertThat(picture(pipeline)).isEqualTo(before);
        }
    }

    @Test
    void aMissingPartIsNamed() throws IOException {
        Path saved = folder.resolve("saved");
        try (StableDiffusion pipeline = StableDiffusion.load(SINGLE)) {
            pipeline.save(saved);
        }
        Files.move(saved.resolve("vae"), folder.resolve("vae"));

        assertThatThrownBy(() -> StableDiffusion.load(saved))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("'vae' is missing");
    }

    private static float[] picture(StableDiffusion pipeline) {
        try (Scope s = Scope.open();
                Draws draws = Draws.ofSeed(3)) {
            Settings settings = Settings.of("a red car").withSteps(2).withSize(16, 24);
            return pipeline.generate(settings, draws, Denoising.Observer.NONE).toFloats();
        }
    }
}
