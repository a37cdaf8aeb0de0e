package dev.zoetrope.tensor;

import java.util.List;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Switches for recording gradients, for the current thread, and gradients of chosen inputs.
 *
 * <pre>{@code
 * try (var off = Autograd.off()) { ... }      // inference: nothing is recorded
 * }</pre>
 */
public final class Autograd {
    private Autograd() {}

    /** The state before is restored on close; close it on the thread that opened it. */
    public static final class Mode implements AutoCloseable {
        private final boolean before;
        private final Thread thread = Thread.currentThread();

        private Mode(boolean on) {
            Engine.load();
            before = GradMode.is_enabled();
            GradMode.set_enabled(on);
        }

        @Override
        public void close() {
            if (Thread.currentThread() != thread) {
                throw new IllegalStateException(
                        "gradient mode was opened on thread " + thread.getName() + " and must be closed there, not on "
                                + Thread.currentThread().getName());
            }
            GradMode.set_enabled(before);
        }
    }

    /** Records nothing until closed. */
    public static Mode off() {
        return new Mode(false);
    }

    /** Records again inside a part that is {@link #off()}. */
    public static Mode on() {
        return new Mode(true);
    }

    public static boolean isOn() {
        Engine.load();
        return GradMode.is_enabled();
    }

    /**
     * Gradients of {@code outputs}, weighted by {@code gradOutputs}, by {@code inputs}; nothing is accumulated into
     * {@link Tensor#grad()}.
     */
    public static List<Tensor> grad(
            List<Tensor> outputs, List<Tensor> gradOutputs, List<Tensor> inputs, boolean createGraph) {
        try (TensorVector o = Tensor.vector(outputs);
                TensorVector i = Tensor.vector(inputs);
                TensorVector g = Tensor.vector(gradOutputs);
                BoolOptional retain = new BoolOptional(createGraph);
                TensorVector r = torch.grad(o, i, g, retain, createGraph, false)) {
            return Tensor.list("grad", r);
        } catch (RuntimeException e) {
            throw TensorException.of("grad", e, outputs.toArray(Tensor[]::new));
        }
    }

    /**
     * Accumulates into the leaves what {@code gradients} of {@code outputs} amount to; a history that outputs have in
     * common is walked once.
     */
    public static void backward(List<Tensor> outputs, List<Tensor> gradients) {
        try (TensorVector o = Tensor.vector(outputs);
                TensorVector g = Tensor.vector(gradients);
                BoolOptional retain = new BoolOptional();
                TensorVector all = new TensorVector()) {
            torch.backward(o, g, retain, false, all);
        } catch (RuntimeException e) {
            throw TensorException.of("backward", e, outputs.toArray(Tensor[]::new));
        }
    }
}
