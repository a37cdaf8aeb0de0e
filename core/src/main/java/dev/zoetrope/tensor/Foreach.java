package dev.zoetrope.tensor;

import java.util.List;

/**
 * One call for a whole list of tensors, which are changed in place: what optimisers and averages do to every parameter
 * of a model at each step. Lists that go together have the same length and order; an empty list is left alone.
 */
public final class Foreach {
    private Foreach() {}

    /** Adds a number to each. */
    public static void add(List<Tensor> tensors, double value) {
        if (!tensors.isEmpty()) {
            Boxed.run("_foreach_add_", "Scalar", tensors, value);
        }
    }

    /** {@code tensors += others}. */
    public static void add(List<Tensor> tensors, List<Tensor> others) {
        if (!tensors.isEmpty()) {
            Boxed.run("_foreach_add_", "List", tensors, others, 1.0);
        }
    }

    /** Multiplies each by a number. */
    public static void mul(List<Tensor> tensors, double factor) {
        if (!tensors.isEmpty()) {
            Boxed.run("_foreach_mul_", "Scalar", tensors, factor);
        }
    }

    /** {@code tensors += weight * (ends - tensors)}. */
    public static void lerp(List<Tensor> tensors, List<Tensor> ends, double weight) {
        if (!tensors.isEmpty()) {
            Boxed.run("_foreach_lerp_", "Scalar", tensors, ends, weight);
        }
    }

    /** Copies values, element types converted. */
    public static void copy(List<Tensor> tensors, List<Tensor> sources) {
        if (!tensors.isEmpty()) {
            Boxed.run("_foreach_copy_", "", tensors, sources, false);
        }
    }

    /** The Euclidean length of each, as tensors without axes. */
    public static List<Tensor> norm(List<Tensor> tensors) {
        return tensors.isEmpty() ? List.of() : Boxed.callForList("_foreach_norm", "Scalar", tensors, 2.0, null);
    }

    /**
     * One step of Adam for contiguous tensors: moments and parameters move, {@code steps} (one number each, counted from
     * 1 by the caller before this call: the kernel only reads them) set the bias correction.
     *
     * @param decoupled whether decay shrinks the parameter (AdamW, arXiv:1711.05101) or is added to the gradient (L2)
     */
    public static void adam(
            List<Tensor> parameters,
            List<Tensor> gradients,
            List<Tensor> means,
            List<Tensor> squares,
            List<Tensor> steps,
            double rate,
            double beta1,
            double beta2,
            double decay,
            double eps,
            boolean decoupled) {
        if (parameters.isEmpty()) {
            return;
        }
        Boxed.run(
                decoupled ? "_fused_adamw_" : "_fused_adam_",
                "",
                parameters,
                gradients,
                means,
                squares,
                List.of(), // largest squares, for amsgrad only
                steps,
                rate,
                beta1,
                beta2,
                decay,
                eps,
                false, // amsgrad
                false, // maximise
                null,
                null);
    }

    /**
     * One step of stochastic gradient descent for contiguous tensors.
     *
     * @param velocities momentum buffers, zero before the first step; empty where momentum is 0
     */
    public static void sgd(
            List<Tensor> parameters,
            List<Tensor> gradients,
            List<Tensor> velocities,
            double rate,
            double momentum,
            double decay,
            boolean nesterov) {
        if (parameters.isEmpty()) {
            return;
        }
        Boxed.run(
                "_fused_sgd_",
                "",
                parameters,
                gradients,
                velocities,
                decay,
                momentum,
                rate,
                0.0, // damping
                nesterov,
                false, // maximise
                false, // the first step, whose buffers hold no number yet
                null,
                null);
    }
}
