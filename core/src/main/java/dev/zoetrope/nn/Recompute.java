package dev.zoetrope.nn;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Runs blocks in a row without recording and runs each again for its gradients, arXiv:1604.06174: of all activations
 * only those between blocks, and those inside one, are held at a time. Gradients are those of the plain run; dropout
 * drops the same elements again.
 *
 * <pre>{@code
 * try (Recompute run = Recompute.sequence(blocks, x, condition)) {
 *     Tensor loss = loss(head(run.output(), run.context(0)));
 *     loss.backward();   // as far as the output of the blocks
 *     run.backward();    // through the blocks, and on to where x and condition came from
 * }
 * }</pre>
 *
 * It is a driver and not a node in the graph, since the engine's bindings offer no functions with a backward of their
 * own. So what has a graph and goes into the blocks must be handed over: a block that catches such a tensor in a lambda
 * would walk its graph once for each block.
 */
public final class Recompute implements AutoCloseable {
    /** One block: {@code x} and what all blocks see, such as the embedding of a time. */
    @FunctionalInterface
    public interface Block {
        Tensor forward(Tensor x, List<Tensor> context);
    }

    /** A tensor with its history, and the leaf that stands for it inside. */
    private record Input(Tensor origin, Tensor leaf) {
        static Input of(Tensor t) {
            return new Input(Scope.detach(t.alias()), leafOf(t, t.requiresGrad()));
        }

        void close() {
            origin.close();
            leaf.close();
        }
    }

    private final List<? extends Block> blocks;
    private final Input x;
    private final List<Input> context = new ArrayList<>();
    private final List<Tensor> entries = new ArrayList<>(); // of each block; the last is the output
    private final List<Tensor> randomStates = new ArrayList<>(); // before each block, in a training scope
    private final @Nullable TrainingScope training = TrainingScope.current();

    private Recompute(List<? extends Block> blocks, Tensor x, Tensor... context) {
        this.blocks = List.copyOf(blocks);
        this.x = Input.of(x);
        for (Tensor c : context) {
            this.context.add(Input.of(c));
        }
    }

    /** Runs the blocks. {@code x} goes through them one after the other; {@code context} is handed to each. */
    public static Recompute sequence(List<? extends Block> blocks, Tensor x, Tensor... context) {
        Recompute r = new Recompute(blocks, x, context);
        try {
            r.run();
            return r;
        } catch (RuntimeException | Error e) {
            r.close();
            throw e;
        }
    }

    /** Runs blocks that see nothing but what the one before made. */
    public static Recompute sequence(List<? extends Module> blocks, Tensor x) {
        return sequence(
                blocks.stream().map(b -> (Block) (y, none) -> b.forward(y)).toList(), x, new Tensor[0]);
    }

    private void run() {
        entries.add(x.leaf());
        for (Block b : blocks) {
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open()) {
                if (training != null) {
                    randomStates.add(Scope.detach(training.random().state()));
                }
                entries.add(leafOf(b.forward(last(), leaves()), true));
            }
        }
    }

    /** What the last block made: a leaf, at which the backward of the loss ends. */
    public Tensor output() {
        return last();
    }

    /** What stands for a tensor of the context where it is used outside the blocks. */
    public Tensor context(int index) {
        return context.get(index).leaf();
    }

    /** After the backward of a loss of {@link #output()}: accumulates the gradients of all that went into the blocks. */
    public void backward() {
        try (Scope s = Scope.open()) {
            Tensor gradient = output().grad();
            if (gradient == null) {
                throw new IllegalStateException(
                        "the output of the blocks has no gradient; call backward() of a loss made from output() first");
            }
            backward(gradient);
        }
    }

    /** As {@link #backward()}, for a gradient of the output, of its shape. */
    public void backward(Tensor gradient) {
        try (Scope all = Scope.open();
                Autograd.Mode on = Autograd.on()) {
            Tensor g = gradient;
            for (int i = blocks.size() - 1; i >= 0 && g != null; i--) {
                try (Scope s = Scope.open()) {
                    Tensor out = again(i);
                    if (out.requiresGrad()) { // neither the block's weights nor what went in may train
                        out.backward(g);
                    }
                    Tensor next = entries.get(i).grad();
                    g = next == null ? null : s.keep(next);
                    if (i > 0) {
                        entries.get(i).zeroGrad();
                    }
                }
            }
            passOn();
        }
    }

    private Tensor again(int block) {
        if (training == null) {
            return blocks.get(block).forward(entries.get(block), leaves());
        }
        RandomSource random = training.random();
        Tensor now = random.state();
        random.restore(randomStates.get(block));
        try (TrainingScope repeated = TrainingScope.repeat(random)) {
            return blocks.get(block).forward(entries.get(block), leaves());
        } finally {
            random.restore(now);
        }
    }

    /** What went in may have a common history, which is walked once. */
    private void passOn() {
        List<Tensor> origins = new ArrayList<>();
        List<Tensor> gradients = new ArrayList<>();
        List<Input> inputs = new ArrayList<>(context);
        inputs.add(x);
        for (Input i : inputs) {
            Tensor g = i.leaf().grad();
            if (g != null) {
                origins.add(i.origin());
                gradients.add(g);
            }
        }
        if (!origins.isEmpty()) {
            Autograd.backward(origins, gradients);
        }
    }

    private Tensor last() {
        return entries.get(entries.size() - 1);
    }

    private List<Tensor> leaves() {
        return context.stream().map(Input::leaf).toList();
    }

    private static Tensor leafOf(Tensor t, boolean required) {
        return Scope.detach(t.detach().requireGrad(required));
    }

    /** Frees what is held between the blocks. */
    @Override
    public void close() {
        entries.forEach(Tensor::close);
        randomStates.forEach(Tensor::close);
        context.forEach(Input::close);
        x.close();
    }
}
