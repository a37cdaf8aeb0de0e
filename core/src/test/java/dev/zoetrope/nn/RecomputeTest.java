package dev.zoetrope.nn;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RecomputeTest {
    /** x and the context come from one embedding; the blocks have dropout and running statistics. */
    private record Model(Linear embed, List<Block> blocks, Linear head) {
        Model(Weights w) {
            this(new Linear(w.at("embed"), 4, 6), w.at("blocks").stack(3, Block::new), new Linear(w.at("head"), 6, 2));
        }

        Tensor loss(Tensor x) {
            Tensor c = embed.forward(x);
            Tensor y = c.tanh();
            for (Block b : blocks) {
                y = Recompute.block(b, y, c);
            }
            return head.forward(y.mul(c)).square().sum();
        }
    }

    private record Block(Linear linear, BatchNorm norm, Dropout dropout) implements Recompute.Block {
        Block(Weights w) {
            this(new Linear(w.at("linear"), 6, 6), new BatchNorm(w.at("norm"), 6, 1e-5, .1), new Dropout(.3));
        }

        @Override
        public Tensor forward(Tensor x, List<Tensor> context) {
            return dropout.forward(norm.forward(linear.forward(x).gelu()))
                    .mul(context.get(0))
                    .add(x);
        }
    }

    /** The loss, the gradients of the weights and of x, the running statistics and the random number after it. */
    private static Map<String, byte[]> after(boolean recompute) {
        try (RandomSource random = RandomSource.of(2);
                Weights w = Weights.draw(random);
                TrainingScope training = recompute ? TrainingScope.recomputing(random) : TrainingScope.open(random);
                Scope s = Scope.open()) {
            Model model = new Model(w);
            w.requireGrad(true);
            Tensor x = random.normal(5, 4).requireGrad(true);
            Tensor loss = model.loss(x);
            loss.backward();
            Map<String, byte[]> r = new LinkedHashMap<>();
            w.named().forEach((name, t) -> r.put(name, t.grad().toBytes()));
            w.buffers().forEach((name, t) -> r.put(name, t.toBytes()));
            r.put("x", x.grad().toBytes());
            r.put("loss", loss.toBytes());
            r.put("random", random.state().toBytes());
            return r;
        }
    }

    @Test
    void gradientsAreThoseOfThePlainRunBitByBit() {
        Map<String, byte[]> plain = after(false);
        Map<String, byte[]> recomputed = after(true);
        plain.forEach((name, bytes) -> assertThat(recomputed.get(name)).as(name).isEqualTo(bytes));
    }

    @Test
    void frozenBlocksPassTheGradientOnAndTrainedOnesNeedNone() {
        try (RandomSource random = RandomSource.of(2);
                Weights w = Weights.draw(random);
                TrainingScope training = TrainingScope.recomputing(random);
                Scope s = Scope.open()) {
            List<Linear> blocks = w.stack(2, at -> new Linear(at, 3, 3));
            Tensor x = random.normal(2, 3).requireGrad(true);
            blocks.get(1).forward(blocks.get(0).forward(x)).sum().backward();
            byte[] plain = x.grad().toBytes();
            x.zeroGrad();
            Recompute.block(blocks.get(1)::forward, Recompute.block(blocks.get(0)::forward, x))
                    .sum()
                    .backward();
            assertThat(x.grad().toBytes()).isEqualTo(plain);

            w.requireGrad(true);
            Recompute.block(blocks.get(0)::forward, random.normal(2, 3)).sum().backward();
            assertThat(w.named().get("0.weight").grad()).isNotNull();
        }
    }
}
