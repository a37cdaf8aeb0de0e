package dev.zoetrope.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Linear;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PackedWeightTest {
    /** Largest error over the largest answer. */
    private static double error(PackedWeight.Kind kind, long rows, long out, long in) {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(3);
                PackedWeight packed = PackedWeight.of(kind, weight(random, out, in))) {
            Tensor x = random.normal(rows, in);
            Tensor expected = Functional.linear(x, weight(RandomSource.of(3), out, in), null);
            Tensor answer = packed.linear(x, null);
            assertThat(answer.shape()).containsExactly(rows, out);
            assertThat(answer.dtype()).isEqualTo(DType.FLOAT32);
            return answer.sub(expected).abs().max().item()
                    / expected.abs().max().item();
        }
    }

    private static Tensor weight(RandomSource random, long out, long in) {
        return random.normal(out, in).mul(0.02);
    }

    @Test
    void answersStayNear() {
        assertThat(error(PackedWeight.Kind.INT8, 1, 128, 256)).isLessThan(0.02);
        assertThat(error(PackedWeight.Kind.INT8, 40, 128, 256)).isLessThan(0.02); // the unpacked product
        assertThat(error(PackedWeight.Kind.INT4, 1, 128, 256)).isLessThan(0.15);
        assertThat(error(PackedWeight.Kind.INT4, 40, 128, 256)).isLessThan(0.15);
        assertThat(error(PackedWeight.Kind.INT4, 2, 2112, 64)).isLessThan(0.15); // packed in three parts
        assertThat(error(PackedWeight.Kind.INT8, 2, 2112, 64)).isLessThan(0.02);
    }

    @Test
    void shapesThatDoNotFitFourBitsTakeEight() {
        assertThat(error(PackedWeight.Kind.INT4, 3, 61, 40)).isLessThan(0.02);
    }

    @Test
    void aPackedLayerHoldsNoMatrix() {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(1);
                Weights w = Weights.draw(random).packed(PackedWeight.Kind.INT8)) {
            Linear linear = new Linear(w.at("fc"), 64, 64);
            assertThat(w.named()).containsOnlyKeys("fc.bias");
            assertThat(linear.forward(random.normal(2, 64)).shape()).containsExactly(2, 64);
        }
    }

    /** Written once in fewer bits, a layer answers what one answers that is packed on load. */
    @ParameterizedTest
    @EnumSource(PackedWeight.Kind.class)
    void aFileInFewerBits(PackedWeight.Kind kind, @TempDir Path folder) {
        Path file = folder.resolve("layer.safetensors");
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(1)) {
            Tensor weight = weight(random, 64, 96);
            PackedWeight.Stored stored = PackedWeight.stored(kind, weight);
            Map<String, Tensor> tensors = new HashMap<>();
            tensors.put("fc.weight." + kind.name().toLowerCase(Locale.ROOT), stored.values());
            tensors.put("fc.weight.scale", stored.scale());
            Tensor offset = stored.offset();
            if (offset != null) {
                tensors.put("fc.weight.offset", offset);
            }
            Safetensors.write(file, tensors, Map.of());
            Tensor x = random.normal(3, 96);
            try (Checkpoint c = Checkpoint.open(file);
                    Weights w = Weights.load(c);
                    PackedWeight packed = PackedWeight.of(kind, weight)) {
                Linear linear = new Linear(w.at("fc"), 96, 64, false);
                assertThat(linear.forward(x)
                                .sub(packed.linear(x, null))
                                .abs()
                                .max()
                                .item())
                        .isZero();
                assertThat(w.named()).isEmpty();
                assertThat(w.unused()).isEmpty();
            }
        }
    }

    @Test
    void anUnknownKindIsRefused() {
        assertThatThrownBy(() -> PackedWeight.Kind.of("int2"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("int8, int4");
    }
}
