package dev.zoetrope.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class GradientCopiesTest {
    @Test
    void threadsThatComeInAnyOrderLeaveTheSameSum() throws InterruptedException {
        float[] factors = {1e8f, 1, -1e8f, 3, 1e-3f};
        try (Scope s = Scope.open();
                Tensor p = Scope.detach(Tensor.of(new float[] {2}, 1)).requireGrad(true);
                Tensor unused = Scope.detach(Tensor.of(new float[] {2}, 1)).requireGrad(true);
                GradientCopies copies = new GradientCopies(List.of(p, unused), factors.length)) {
            for (boolean backwards : new boolean[] {false, true}) {
                List<Integer> order = new ArrayList<>(List.of(0, 1, 2, 3, 4));
                if (backwards) {
                    java.util.Collections.reverse(order);
                }
                for (int worker : order) {
                    Thread t = new Thread(() -> {
                        try (Scope own = Scope.open();
                                GradientCopies.Entered entered = copies.enter(worker)) {
                            p.mul(factors[worker]).sum().backward();
                        }
                    });
                    t.start();
                    t.join();
                }
                copies.sum();
                float pairs = (factors[0] + factors[1]) + (factors[2] + factors[3]) + factors[4];
                assertThat(p.grad().toFloats()).containsExactly(pairs);
                assertThat(unused.grad()).isNull();
                p.zeroGrad();
            }
        }
    }
}
