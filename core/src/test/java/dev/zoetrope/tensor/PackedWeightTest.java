package dev.zoetrope.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Linear;
import org.junit.jupiter.api.Test;

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

    @Test
    void anUnknownKindIsRefused() {
        assertThatThrownBy(() -> PackedWeight.Kind.of("int2"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("int8, int4");
    }
}
