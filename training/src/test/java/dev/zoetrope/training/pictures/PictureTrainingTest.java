package dev.zoetrope.training.pictures;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Image;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.vae.VqModel;
import dev.zoetrope.tasks.ImageListener;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A few steps of each recipe in the small, as far as a picture from what it has written. */
class PictureTrainingTest {
    private static final String DATA = "data: {size: 16x16, batch: 2, first: 3}\n";
    private static final String AUTOENCODER =
            """
            system: autoencoder
            model: {block_out_channels: [8, 8], latent_channels: 4, norm_num_groups: 4,
                    down_block_types: [DownEncoderBlock2D, DownEncoderBlock2D],
                    up_block_types: [UpDecoderBlock2D, UpDecoderBlock2D]}
            train: {steps: 2, workers: 1, %s}
            """
                    + DATA;

    @TempDir
    Path folder;

    private Path trained(String name, String recipe) throws IOException {
        Path file = Files.writeString(folder.resolve(name + ".yaml"), recipe);
        Path run = folder.resolve(name);
        assertThat(Training.run(file, Map.of(), run, false, new TrainingListener() {}))
                .isTrue();
        return run.resolve("model");
    }

    private static Image picture(Path model, String prompt, String label) {
        try (TextToImage task = TextToImage.load(model)) {
            Settings s = task.defaults(prompt).settings().withSteps(2);
            ImageRequest r = ImageRequest.of(s).withLabel(label);
            return task.generate(r, ImageListener.NONE).get(0).image();
        }
    }

    @Test
    void ddpmByClass() throws IOException {
        Path model = trained(
                "ddpm",
                """
                system: ddpm
                model: {block_out_channels: [8, 8], layers_per_block: 1, norm_num_groups: 4, attention_head_dim: 4,
                        down_block_types: [DownBlock2D, AttnDownBlock2D], up_block_types: [AttnUpBlock2D, UpBlock2D]}
                scheduler: {prediction_type: v_prediction}
                train: {steps: 2, workers: 1, classes: true, snr_gamma: 5.0, ema_decay: 0.9, sample_every: 2}
                """
                        + DATA);

        assertThat(picture(model, "", "2").width()).isEqualTo(16);
        assertThat(model.resolveSibling("samples.png")).exists();
    }

    @Test
    void latentDiffusionOverAnAutoencoderWithAnAdversary() throws IOException {
        String gan = "disc_weight: 0.5, discriminator: {base_channels: 4, layers: 1}, sample_every: 2";
        Path autoencoder = trained("autoencoder", AUTOENCODER.formatted(gan));

        Path model = trained(
                "ldm",
                """
                system: ldm
                autoencoder: %s
                model: {block_out_channels: [8, 8], layers_per_block: 1, norm_num_groups: 4, attention_head_dim: 2,
                        down_block_types: [CrossAttnDownBlock2D, DownBlock2D],
                        up_block_types: [UpBlock2D, CrossAttnUpBlock2D]}
                text_encoder: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}
                train: {steps: 2, workers: 1, sample_every: 2, noise_offset: 0.1}
                """
                                .formatted(autoencoder)
                        + DATA);

        assertThat(picture(model, "a fox on a blue background", "").height()).isEqualTo(16);
    }

    @Test
    void aCodebook() throws IOException {
        Path model = trained("codebook", AUTOENCODER.formatted("kind: vq"));

        try (VqModel vae = VqModel.load(model)) {
            assertThat(vae.config().scalingFactor()).isPositive().isNotEqualTo(0.18215);
        }
    }
}
