package dev.zoetrope.training.pictures;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
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
import java.util.ArrayList;
import java.util.List;
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

        String prompt = "a fox on a blue background";
        Image plain = picture(model, prompt, "");
        assertThat(plain.height()).isEqualTo(16);
        assertThat(drawn(model, true, 1, prompt)).isEqualTo(plain);
        assertThat(drawn(model, false, 2, prompt)).isNotEqualTo(plain);
        fineTuned(model, plain, prompt);
    }

    private static Image drawn(Path model, boolean lowMemory, int cacheSteps, String prompt) {
        try (TextToImage task = TextToImage.load(model, lowMemory)) {
            Settings s = task.defaults(prompt).settings().withSteps(2).withDeepEvery(cacheSteps);
            return task.generate(ImageRequest.of(s), ImageListener.NONE).get(0).image();
        }
    }

    /** By a LoRA under one prompt, with a prior that the pipeline draws itself; merged it draws what it draws beside. */
    private void fineTuned(Path pipeline, Image plain, String prompt) throws IOException {
        Path model = trained(
                "lora",
                """
                system: lora
                pipeline: %s
                data: {path: %s, size: 16x16, batch: 2}
                lora: {rank: 2, alpha: 4, text_encoder: true}
                prior: {prompt: a fox, count: 2}
                train: {steps: 3, workers: 2, prompt: a photo of sks fox, rate: 0.1, warmup: 1, sample_every: 3}
                """
                        .formatted(pipeline, people()));
        Path lora = model.resolve("pytorch_lora_weights.safetensors");
        Path merged = folder.resolve("merged");
        Image beside;
        try (TextToImage task = TextToImage.load(pipeline)) {
            task.addLora(lora, 1);
            Settings s = task.defaults(prompt).settings().withSteps(2);
            beside =
                    task.generate(ImageRequest.of(s), ImageListener.NONE).get(0).image();
            task.save(merged, false);
        }
        assertThat(beside).isNotEqualTo(plain);
        assertThat(picture(merged, prompt, "")).isEqualTo(beside);
        assertThat(pipeline.resolveSibling("samples.png")).exists();
    }

    /** A folder as people have it, with a picture that is none and one of another shape. */
    private Path people() throws IOException {
        Path data = Files.createDirectories(folder.resolve("people"));
        StringBuilder list = new StringBuilder();
        for (int i = 0; i < 5; i++) {
            Images.write(Image.filled(20 + i, 30, 0x203040 * i), data.resolve(i + ".png"));
            list.append("{\"file_name\": \"")
                    .append(i)
                    .append(".png\", \"text\": \"Picture number ")
                    .append(i)
                    .append("\", \"label\": \"")
                    .append(i % 2 == 0 ? "even" : "odd")
                    .append("\"}\n");
        }
        Files.writeString(data.resolve("3.png"), "no picture");
        Files.writeString(data.resolve("metadata.jsonl"), list);
        return data;
    }

    @Test
    void onPeoplesPicturesABrokenOneIsSkippedAndARunThatGoesOnTakesTheSameSteps() throws IOException {
        String recipe =
                """
                system: ddpm
                model: {block_out_channels: [8, 8], layers_per_block: 1, norm_num_groups: 4, attention_head_dim: 4,
                        down_block_types: [DownBlock2D, AttnDownBlock2D], up_block_types: [AttnUpBlock2D, UpBlock2D]}
                scheduler: {prediction_type: v_prediction}
                train: {steps: 4, workers: 1, classes: true, save_every: 1}
                data: {path: %s, size: 16x16, batch: 3, flip: true}
                """
                        .formatted(people());
        List<String> told = new ArrayList<>();
        TrainingListener listener = new TrainingListener() {
            @Override
            public void message(String text) {
                told.add(text);
            }
        };
        Path file = Files.writeString(folder.resolve("people.yaml"), recipe);
        Path whole = folder.resolve("whole");
        assertThat(Training.run(file, Map.of(), whole, false, listener)).isTrue();
        assertThat(told).anyMatch(t -> t.contains("skipped") && t.contains("3.png"));
        assertThat(told).anyMatch(t -> t.contains("pictures that could not be read"));

        Path parts = folder.resolve("parts");
        TrainingListener stopping = new TrainingListener() {
            @Override
            public boolean step(long step, long steps) {
                return step < 3;
            }
        };
        assertThat(Training.run(file, Map.of(), parts, false, stopping)).isFalse();
        assertThat(Training.run(file, Map.of(), parts, true, new TrainingListener() {}))
                .isTrue();
        String weights = "model/unet/diffusion_pytorch_model.safetensors";
        assertThat(parts.resolve(weights)).hasSameBinaryContentAs(whole.resolve(weights));
    }

    @Test
    void aCodebook() throws IOException {
        Path model = trained("codebook", AUTOENCODER.formatted("kind: vq"));

        try (VqModel vae = VqModel.load(model)) {
            assertThat(vae.config().scalingFactor()).isPositive().isNotEqualTo(0.18215);
        }
    }
}
