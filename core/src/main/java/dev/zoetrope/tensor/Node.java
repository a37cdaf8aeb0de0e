package dev.zoetrope.tensor;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.TensorBase;
import org.bytedeco.pytorch.TensorTensorHook;
import org.bytedeco.pytorch.VoidTensorHook;
import org.jspecify.annotations.Nullable;

/**
 * A node of the recorded graph whose gradients a function tells. The engine's bindings offer no functions with a backward
 * of their own, but they offer hooks on tensors: the output is joined to its inputs by sums over nothing, whose
 * gradients, zeros, a hook replaces.
 *
 * <p>To be closed when the graph is gone. The function is asked once, on the thread of the backward.
 */
public final class Node implements AutoCloseable {
    /** Tells the gradients of a node. */
    @FunctionalInterface
    public interface Backward {
        /**
         * @param gradient of the output
         * @return the gradient of each input, in their order; null for none; owned by no scope
         */
        List<@Nullable Tensor> gradients(Tensor gradient);
    }

    /** A node and what it made. */
    public record Made(Tensor output, Node node) {}

    private final Backward backward;
    private final List<AutoCloseable> hooks = new ArrayList<>();
    private @Nullable Tensor arrived;
    private @Nullable List<@Nullable Tensor> told;

    private Node(Backward backward) {
        this.backward = backward;
    }

    /**
     * Joins a value that was computed without recording to what it was computed from.
     *
     * @param inputs those that do not require a gradient are left out
     * @return the value as a tensor of the graph, owned by the innermost scope
     */
    public static Made of(Tensor value, List<Tensor> inputs, Backward backward) {
        Node node = new Node(backward);
        try (Scope s = Scope.open()) {
            Tensor nothing = null;
            for (int i = 0; i < inputs.size(); i++) {
                if (inputs.get(i).requiresGrad()) {
                    nothing = node.joined(nothing, inputs.get(i), i);
                }
            }
            if (nothing == null) { // only weights inside train: a leaf that leads the backward here
                nothing = node.joined(null, Tensor.zeros(1).requireGrad(true), inputs.size());
            }
            Tensor output = value.add(nothing.to(value.dtype()));
            node.watch(output);
            return new Made(s.keep(output), node);
        }
    }

    private Tensor joined(@Nullable Tensor others, Tensor input, int index) {
        Tensor shown = input.unsqueeze(0); // a tensor of this node, so that the hook is not the input's
        TensorTensorHook hook = new TensorTensorHook() {
            @Override
            public TensorBase call(TensorBase zeros) {
                Tensor gradient = gradient(index);
                return gradient == null ? zeros : gradient.unsqueeze(0).engine();
            }
        };
        shown.engine().register_hook(hook);
        hooks.add(hook);
        Tensor nothing = shown.narrow(0, 0, 0).sum();
        return others == null ? nothing : others.add(nothing);
    }

    private void watch(Tensor output) {
        VoidTensorHook hook = new VoidTensorHook() {
            @Override
            public void call(TensorBase gradient) {
                told = null;
                arrived = Scope.detach(Tensor.copyOf("gradient", new org.bytedeco.pytorch.Tensor(gradient)));
            }
        };
        output.engine().register_hook(hook);
        hooks.add(hook);
    }

    private @Nullable Tensor gradient(int input) {
        List<@Nullable Tensor> all = told;
        if (all == null) {
            Tensor gradient = arrived;
            if (gradient == null) {
                throw new IllegalStateException("a node's inputs have gradients before its output has");
            }
            all = backward.gradients(gradient);
            told = all;
            gradient.close();
        }
        return input < all.size() ? all.get(input) : null;
    }

    @Override
    public void close() {
        for (AutoCloseable hook : hooks) {
            try {
                hook.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        hooks.clear();
        if (told != null) {
            told.forEach(t -> {
                if (t != null) {
                    t.close();
                }
            });
        }
        if (arrived != null) {
            arrived.close();
        }
    }
}
