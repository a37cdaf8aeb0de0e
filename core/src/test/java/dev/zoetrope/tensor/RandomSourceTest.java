package dev.zoetrope.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The numbers are those of {@code torch.Generator().manual_seed(seed)}, printed by PyTorch, bit by bit. */
class RandomSourceTest {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
    }

    @Test
    void normal() {
        try (RandomSource few = RandomSource.of(42);
                RandomSource many = RandomSource.of(42)) {
            assertThat(bits(few.normal(8)))
                    .containsExactly(
                            1051484846,
                            1040443037,
                            1047533287,
                            1047256172,
                            -1081099838,
                            -1103180584,
                            1074615084,
                            -1088203834);
            // From 16 numbers on PyTorch fills the whole array in another way, so the first ones differ too.
            Tensor t = many.normal(32);
            assertThat(bits(t.slice(0, 0, 4))).containsExactly(1073128745, 1069440851, 1063687527, -1073299237);
            assertThat(bits(t.slice(0, 30, 32))).containsExactly(-1098854790, 1063002032);
        }
    }

    @Test
    void uniform() {
        try (RandomSource r = RandomSource.of(42);
                RandomSource large = RandomSource.of(Long.MAX_VALUE)) {
            assertThat(bits(r.uniform(4))).containsExactly(1063378022, 1063927219, 1053034168, 1064670478);
            assertThat(bits(large.uniform(4))).containsExactly(1065249187, 1058160930, 1058139148, 1028310128);
        }
    }

    @Test
    void oneDrawContinuesWhereTheLastEnded() {
        try (RandomSource r = RandomSource.of(7)) {
            r.normal(3);
            assertThat(bits(r.uniform(2))).containsExactly(1052445368, 1062857913);
        }
    }

    @Test
    void wholeNumbers() {
        try (RandomSource a = RandomSource.of(42);
                RandomSource b = RandomSource.of(42);
                RandomSource c = RandomSource.of(42);
                Tensor weights = Tensor.of(new float[] {1, 2, 3, 4}, 4)) {
            assertThat(a.integers(0, 1000, 6).toLongs()).containsExactly(542, 67, 876, 414, 26, 335);
            assertThat(b.permutation(10).toLongs()).containsExactly(2, 6, 1, 8, 4, 5, 0, 9, 3, 7);
            assertThat(c.multinomial(weights, 8, true).toLongs()).containsExactly(0, 0, 1, 0, 2, 2, 3, 3);
        }
    }

    @Test
    void stateRestores() {
        try (RandomSource r = RandomSource.of(3)) {
            r.normal(5);
            Tensor state = r.state();
            int[] first = bits(r.normal(20));
            r.restore(state);
            assertThat(bits(r.normal(20))).isEqualTo(first);
        }
    }

    private static int[] bits(Tensor t) {
        float[] values = t.toFloats();
        int[] r = new int[values.length];
        for (int i = 0; i < r.length; i++) {
            r[i] = Float.floatToRawIntBits(values[i]);
        }
        return r;
    }
}
