package dev.zoetrope.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class OperatorTest {
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
    void shapeErrorsNameBothShapes() {
        Tensor a = Tensor.zeros(2, 3).named("hidden");
        Tensor b = Tensor.zeros(4, 5).named("mlp.weight");
        assertThatThrownBy(() -> a.matmul(b))
                .isInstanceOf(TensorException.class)
                .hasMessageStartingWith("matmul(hidden FLOAT32[2, 3], mlp.weight FLOAT32[4, 5]): ")
                .hasMessageNotContaining("Exception raised from");
        assertThatThrownBy(() -> a.add(b)).hasMessageContaining("[2, 3]").hasMessageContaining("[4, 5]");
        assertThatThrownBy(() -> Functional.linear(a, b, null))
                .hasMessageContaining("hidden FLOAT32[2, 3]")
                .hasMessageContaining("mlp.weight FLOAT32[4, 5]");
        assertThatThrownBy(() -> Tensor.cat(0, a, b))
                .hasMessageContaining("[2, 3]")
                .hasMessageContaining("[4, 5]");
        assertThatThrownBy(() -> a.size(2)).hasMessageContaining("axis 2 of hidden FLOAT32[2, 3] with 2 axes");
    }

    @Test
    void gradientsAreRecordedOnlyWhereTheyAreOn() {
        Tensor w = Tensor.ones(2).requireGrad(true);
        assertThat(Autograd.isOn()).isTrue();
        try (Autograd.Mode off = Autograd.off()) {
            assertThat(w.mul(2).requiresGrad()).isFalse();
            try (Autograd.Mode on = Autograd.on()) {
                assertThat(w.mul(2).requiresGrad()).isTrue();
            }
            assertThat(Autograd.isOn()).isFalse();
        }
        assertThat(w.mul(2).requiresGrad()).isTrue();
    }

    /** The detour through a 1x1 convolution, which linear layers take where it is faster, changes nothing. */
    @Test
    void linearAsConvolutionIsLinear() {
        try (RandomSource r = RandomSource.of(5)) {
            Tensor x = r.normal(3, 50, 48);
            Tensor w = r.normal(32, 48).requireGrad(true);
            Tensor b = r.normal(32).requireGrad(true);

            Tensor direct = x.matmul(w.transpose(0, 1)).add(b);
            direct.square().sum().backward();
            Tensor directGrad = w.grad().copy();
            w.zeroGrad();
            Tensor detour = Functional.linearAsConvolution(x, w, b);
            detour.square().sum().backward();

            assertThat(detour.shape()).containsExactly(3, 50, 32);
            assertThat(distance(detour, direct)).isLessThan(1e-5);
            assertThat(distance(w.grad(), directGrad)).isLessThan(1e-5);
        }
    }

    @Test
    void manyRowsTakeTheDetourWhereOneThreadWouldWork() {
        try (RandomSource r = RandomSource.of(5)) {
            Tensor w = r.normal(32, 48);
            boolean slow = !Engine.usesMkl() && Engine.threads() > 1;

            assertThat(Functional.prefersConvolution(r.normal(64, 48), w)).isEqualTo(slow);
            assertThat(Functional.prefersConvolution(r.normal(63, 48), w)).isFalse();
        }
    }

    /** In half precision attention is computed in float32 on the CPU; only the result is rounded. */
    @Test
    void attentionInHalfPrecisionIsExactButForRounding() {
        try (RandomSource r = RandomSource.of(6)) {
            Tensor q = r.normal(1, 2, 9, 16).to(DType.BFLOAT16);
            Tensor k = r.normal(1, 2, 7, 16).to(DType.BFLOAT16);
            Tensor v = r.normal(1, 2, 7, 16).to(DType.BFLOAT16);

            Tensor half = Functional.attention(q, k, v, null, false, null);
            Tensor full = Functional.attention(
                    q.to(DType.FLOAT32), k.to(DType.FLOAT32), v.to(DType.FLOAT32), null, false, null);

            assertThat(half.dtype()).isEqualTo(DType.BFLOAT16);
            assertThat(half.to(DType.FLOAT32).toFloats())
                    .isEqualTo(full.to(DType.BFLOAT16).to(DType.FLOAT32).toFloats());
        }
    }

    @Test
    void emptyTensorsWork() {
        Tensor none = Tensor.of(new float[0], 0, 4);
        assertThat(none.toFloats()).isEmpty();
        assertThat(none.toBytes()).isEmpty();
        assertThat(none.mul(2).sum().item()).isZero();
        assertThat(Tensor.cat(0, none, Tensor.ones(1, 4)).shape()).containsExactly(1, 4);
    }

    /** Largest difference, relative to the largest element. */
    private static double distance(Tensor a, Tensor b) {
        return a.sub(b).abs().max().item() / b.abs().max().item();
    }
}
