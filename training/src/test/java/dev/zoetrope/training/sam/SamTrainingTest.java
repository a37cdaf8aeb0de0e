package dev.zoetrope.training.sam;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.annotation.AnnotationSession;
import dev.zoetrope.tasks.annotation.AnnotationSession.Source;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way, very small: train on the world, export, load, measure, go on with what was annotated. */
class SamTrainingTest {
    private static final String RECIPE =
            """
            system: sam
            seed: 3
            model:
              vision_config: {image_size: 32, patch_size: 8, hidden_size: 16, mlp_dim: 16, num_hidden_layers: 2,
                num_attention_heads: 2, window_size: 3, global_attn_indexes: [1], output_channels: 16, num_pos_feats: 8}
              prompt_encoder_config: {hidden_size: 16, image_size: 32, patch_size: 8, mask_input_channels: 4}
              mask_decoder_config: {hidden_size: 16, mlp_dim: 16, num_attention_heads: 2, iou_head_hidden_dim: 8}
            train: {steps: 3, pictures: 2, prompts: 2, clicks: 2}
            """;

    @TempDir
    private Path folder;

    @Test
    void aModelIsTrainedMeasuredAndTrainedOnWhatWasAnnotated() throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        Path world = folder.resolve("world");
        assertThat(Training.run(recipe, Map.of(), world, false, new TrainingListener() {}))
                .isTrue();
        Path model = world.resolve("model");
        try (Segment segment = Segment.load(model)) {
            var results = new SamEvaluation(segment, new SamEvaluation.Settings(3, 0, 32)).run(Progress.NONE);
            assertThat(results).hasSize(3).allSatisfy(r -> assertThat(r.masks()).isEqualTo(3));
            assertThat(SamEvaluation.table(results)).contains("held-out objects");
        }

        Path picture = folder.resolve("picture.png");
        Images.write(Image.filled(40, 20, 0x336699), picture);
        AnnotationSession session = AnnotationSession.create(folder.resolve("session.json"), List.of(picture));
        Path own = folder.resolve("own");
        Map<String, String> onOwn = Map.of(
                "start", model.toString(),
                "data.session", session.file().toString(),
                "train.freeze", "[\"^vision_encoder\"]");
        assertThatThrownBy(() -> Training.run(recipe, onOwn, folder.resolve("none"), false, new TrainingListener() {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("annotate some first");
        byte[] bits = new byte[40 * 20];
        Arrays.fill(bits, 100, 400, (byte) 1);
        session.accept(0, Rle.of(new Mask(40, 20, bits)), Source.MANUAL, List.of(), null, 1, 1);
        assertThat(Training.run(recipe, onOwn, own, false, new TrainingListener() {}))
                .isTrue();
        assertThat(Files.size(own.resolve("model/model.safetensors")))
                .isEqualTo(Files.size(model.resolve("model.safetensors")));
    }
}
