package dev.zoetrope.training;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class GradientCacheTest {
    private static final int PAIRS = 10;

    @Test
    void partsGiveTheLossAndTheGradientsOfTheWhole() {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(5)) {
            Tensor pixels = random.normal(PAIRS, 7);
            Tensor words = random.normal(PAIRS, 5);
            Tensor vision = random.normal(7, 4).requireGrad(true);
            Tensor text = random.normal(5, 4).requireGrad(true);
            Tensor scale = Tensor.scalarOf(0.7).requireGrad(true);
            BinaryOperator<Tensor> loss =
                    (a, b) -> Contrastive.softmax(a.matmul(b.transpose(0, 1)).mul(scale.exp()));
            List<Tensor> weights = List.of(vision, text, scale);

            Tensor whole = loss.apply(pixels.matmul(vision).tanh(), words.matmul(text));
            whole.mul(0.5).backward();
            List<float[]> expected = gradients(weights);

            Tensor parts = GradientCache.loss(
                    parts(pixels, 4, x -> x.matmul(vision).tanh()), parts(words, 3, x -> x.matmul(text)), loss, 0.5);
            parts.mul(0.5).backward();
            List<float[]> found = gradients(weights);

            assertThat(parts.item()).isCloseTo(whole.item(), Offset.offset(1e-6));
            for (int i = 0; i < weights.size(); i++) {
                assertThat(found.get(i)).usingComparatorWithPrecision(1e-6f).containsExactly(expected.get(i));
            }
        }
    }

    private static List<Supplier<Tensor>> parts(Tensor rows, int size, UnaryOperator<Tensor> network) {
        List<Supplier<Tensor>> r = new ArrayList<>();
        for (int i = 0; i < PAIRS; i += size) {
            int from = i;
            int n = Math.min(size, PAIRS - i);
            r.add(() -> network.apply(rows.narrow(0, from, n)));
        }
        return r;
    }

    private static List<float[]> gradients(List<Tensor> weights) {
        List<float[]> r = new ArrayList<>();
        for (Tensor w : weights) {
            Tensor g = w.grad();
            assertThat(g).isNotNull();
            r.add(g.toFloats());
            w.zeroGrad();
        }
        return r;
    }
}
