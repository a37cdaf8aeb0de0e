package dev.zoetrope.models.clip;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** OpenAI's names without any configuration, plain and with the text tower below a name of its own. */
class OpenClipTest {
    private static final Clip.Config CONFIG = new Clip.Config(
            new ClipVision.Config(32, 16, 3, 128, 2, 2, 96, Act.QUICK_GELU, 1e-5, 24),
            new ClipText.Config(40, 64, 1, 1, 80, 9, Act.QUICK_GELU, 1e-5, ClipText.LARGEST_ID, 24),
            Math.log(1 / 0.07));

    @TempDir
    private Path folder;

    @Test
    void sizesAreReadFromTheShapes() {
        for (String prefix : List.of("", "text.")) {
            try (Scope s = Scope.open();
                    Autograd.Mode off = Autograd.off();
                    RandomSource random = RandomSource.of(1);
                    Weights w = Weights.draw(random)) {
                Clip drawn = new Clip(CONFIG, w);
                Path file = folder.resolve(prefix + "clip.safetensors");
                Safetensors.write(file, published(w.named(), prefix));
                Tensor pixels = random.normal(2, 3, 32, 32);
                Tensor ids = Tensor.of(new long[] {38, 5, 6, 39, 0, 0, 38, 7, 39, 0, 0, 0}, 2, 6);
                try (Clip read = Clip.load(file)) {
                    assertThat(read.config()).isEqualTo(CONFIG);
                    assertThat(read.images(pixels).toFloats())
                            .isEqualTo(drawn.images(pixels).toFloats());
                    assertThat(read.texts(ids, null).toFloats())
                            .isEqualTo(drawn.texts(ids, null).toFloats());
                }
            }
        }
    }

    /** As OpenAI's code saves them: query, key and value in one, projections transposed. */
    private static Map<String, Tensor> published(Map<String, Tensor> named, String prefix) {
        Map<String, Tensor> r = new LinkedHashMap<>();
        named.forEach((name, tensor) -> {
            String theirs = OpenClip.NAMES.apply(name);
            String key = theirs.replaceFirst("#.*", "");
            if (!key.startsWith("visual.") && !key.equals("logit_scale")) {
                key = prefix + key;
            }
            Tensor t = theirs.endsWith("#T") ? tensor.transpose(0, 1).contiguous() : tensor;
            // Asked for in the order query, key, value: their rows follow each other.
            r.merge(key, t, (before, more) -> Tensor.cat(0, before, more));
        });
        String attention = "visual.transformer.resblocks.0.attn.in_proj_weight";
        assertThat(r.get(attention).shape()).containsExactly(3 * 128, 128);
        return r;
    }

    @Test
    void whatIsNoClipIsRefused() {
        Path file = folder.resolve("other.safetensors");
        try (Scope s = Scope.open()) {
            Safetensors.write(file, Map.of("visual.layer1.0.conv1.weight", Tensor.zeros(2, 2)));
        }
        assertThatThrownBy(() -> Clip.load(file)).isInstanceOf(UserError.class).hasMessageContaining("ResNet");
    }
}
