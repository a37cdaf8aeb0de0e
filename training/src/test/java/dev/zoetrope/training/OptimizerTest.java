package dev.zoetrope.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OptimizerTest {
    private static final Optimizer.AdamW RULE = Optimizer.AdamW.of(0.1, 0.5);

    private static LinkedHashMap<String, Tensor> parameters() {
        LinkedHashMap<String, Tensor> p = new LinkedHashMap<>();
        p.put("weight", Tensor.of(new float[] {1, -2}, 2).requireGrad(true));
        p.put("bias", Tensor.of(new float[] {3}, 1).requireGrad(true));
        p.put("unused", Tensor.of(new float[] {4}, 1).requireGrad(true));
        return p;
    }

    private static void backward(Map<String, Tensor> p) {
        try (Scope s = Scope.open()) {
            p.get("weight").square().sum().add(p.get("bias").sum()).backward();
        }
    }

    @Test
    void firstStepOfAdamMovesByTheRateAgainstTheSign() {
        try (Scope s = Scope.open()) {
            LinkedHashMap<String, Tensor> p = parameters();
            try (Optimizer o = new Optimizer(p, RULE, Optimizer.Group.noDecay("bias$"))) {
                backward(p);
                o.step();
            }
            assertThat(p.get("weight").toFloats()).containsExactly(new float[] {0.85f, -1.8f}, within(1e-6f));
            assertThat(p.get("bias").toFloats()).containsExactly(new float[] {2.9f}, within(1e-6f));
            assertThat(p.get("unused").toFloats()).containsExactly(4f); // no gradient: not even decay
        }
    }

    @Test
    void resumesToTheSameBits() {
        try (Scope s = Scope.open()) {
            LinkedHashMap<String, Tensor> straight = parameters();
            LinkedHashMap<String, Tensor> resumed = parameters();
            try (Optimizer a = new Optimizer(straight, RULE);
                    Optimizer b = new Optimizer(resumed, RULE);
                    Optimizer c = new Optimizer(resumed, RULE)) {
                for (int i = 0; i < 6; i++) {
                    backward(straight);
                    a.step(0.1 / (i + 1));
                    a.zeroGrad();
                    Optimizer o = i < 3 ? b : c;
                    if (i == 3) {
                        c.restore(b.state());
                    }
                    backward(resumed);
                    o.step(0.1 / (i + 1));
                    o.zeroGrad();
                }
            }
            assertThat(resumed.get("weight").toFloats())
                    .isEqualTo(straight.get("weight").toFloats());
        }
    }

    @Test
    void refusesAStateOfOtherParameters() {
        try (Scope s = Scope.open();
                Optimizer o = new Optimizer(parameters(), RULE)) {
            assertThatThrownBy(() -> o.restore(Map.of("head.exp_avg", Tensor.zeros(2))))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("head.exp_avg");
            assertThatThrownBy(() -> o.restore(Map.of("weight.exp_avg", Tensor.zeros(3))))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("[3]")
                    .hasMessageContaining("[2]");
        }
    }

    @Test
    void averageIsLentAndGivenBack() {
        try (Scope s = Scope.open()) {
            LinkedHashMap<String, Tensor> p = parameters();
            try (Ema ema = new Ema(p, Ema.Decay.constant(0.75))) {
                try (var off = dev.zoetrope.tensor.Autograd.off()) {
                    p.get("bias").fillInPlace(7);
                }
                ema.update();
                try (Ema.Applied average = ema.apply()) {
                    assertThat(p.get("bias").item()).isEqualTo(4);
                }
                assertThat(p.get("bias").item()).isEqualTo(7);
            }
        }
    }
}
