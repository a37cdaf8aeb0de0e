package dev.zoetrope.nn;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Node;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Runs a block without recording and runs it again for its gradients, arXiv:1604.06174: of all activations only those
 * between blocks, and those inside one, are held at a time. Models run their blocks through here; a {@link
 * TrainingScope#recomputing} turns it on, without one a block just runs. Gradients are those of the plain run; dropout
 * drops the same elements again.
 *
 * <pre>{@code
 * for (Block block : blocks) {
 *     x = s.replace(x, Recompute.block((y, c) -> block.forward(y, c.get(0), mask), x, condition));
 * }
 * }</pre>
 */
public final class Recompute {
    private Recompute() {}

    /** {@code x} and what else has a graph and goes into the block, such as the embedding of a time. */
    @FunctionalInterface
    public interface Block {
        Tensor forward(Tensor x, List<Tensor> context);
    }

    /** A block that sees nothing else that has a graph. */
    public static Tensor block(UnaryOperator<Tensor> block, Tensor x) {
        return block((y, none) -> block.apply(y), x);
    }

    /**
     * @param block called again in the backward; what has a graph and goes into it must be handed over as context: what
     *     it caught in a lambda would have its own graph walked too early
     * @return what the block makes, owned by the innermost scope
     */
    public static Tensor block(Block block, Tensor x, Tensor... context) {
        TrainingScope training = TrainingScope.current();
        if (training == null || !training.recomputes() || !Autograd.isOn()) {
            return block.forward(x, List.of(context));
        }
        List<Tensor> inputs = new ArrayList<>(List.of(x));
        inputs.addAll(List.of(context));
        Once once = new Once(block, inputs, training);
        try (Scope s = Scope.open()) {
            Tensor value;
            try (Autograd.Mode off = Autograd.off()) {
                value = block.forward(x, List.of(context));
            }
            Node.Made made = Node.of(value, inputs, once);
            training.untilClosed(made.node());
            training.untilClosed(once);
            return s.keep(made.output());
        }
    }

    /** What a block needs to run again. */
    private static final class Once implements Node.Backward, AutoCloseable {
        private final Block block;
        private final List<Tensor> leaves;
        private final RandomSource random;
        private final Tensor state;

        Once(Block block, List<Tensor> inputs, TrainingScope training) {
            this.block = block;
            leaves = inputs.stream()
                    .map(t -> Scope.detach(t.detach().requireGrad(t.requiresGrad())))
                    .toList();
            random = training.random();
            state = Scope.detach(random.state());
        }

        @Override
        public List<@Nullable Tensor> gradients(Tensor gradient) {
            Tensor now = random.state();
            random.restore(state);
            List<@Nullable Tensor> gradients = new ArrayList<>();
            try (Scope s = Scope.open();
                    Autograd.Mode on = Autograd.on();
                    TrainingScope repeated = TrainingScope.repeat(random)) {
                Tensor out = block.forward(leaves.get(0), leaves.subList(1, leaves.size()));
                if (out.requiresGrad()) {
                    out.backward(gradient);
                }
                for (Tensor leaf : leaves) {
                    Tensor g = leaf.grad();
                    gradients.add(g == null ? null : Scope.detach(g));
                }
            } finally {
                random.restore(now);
                close();
            }
            return gradients;
        }

        @Override
        public void close() {
            leaves.forEach(Tensor::close);
            state.close();
        }
    }
}
