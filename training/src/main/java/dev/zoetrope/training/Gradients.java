package dev.zoetrope.training;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Foreach;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Collection;
import java.util.List;
import java.util.Objects;

/** What is done to all gradients of a model together. */
public final class Gradients {
    private Gradients() {}

    /**
     * Scales the gradients of the parameters so that their common Euclidean norm is at most {@code maxNorm}, and returns
     * the norm before; parameters without gradients do not count. A norm that is not finite scales nothing: the caller
     * decides what a broken step is worth.
     */
    public static double clip(Collection<Tensor> parameters, double maxNorm) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            List<Tensor> gradients = of(parameters);
            double norm = normOf(gradients);
            double factor = maxNorm / (norm + 1e-6); // as PyTorch's clip_grad_norm_
            if (factor < 1) {
                Foreach.mul(gradients, factor);
            }
            return norm;
        }
    }

    /** The common Euclidean norm of the gradients of the parameters. */
    public static double norm(Collection<Tensor> parameters) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            return normOf(of(parameters));
        }
    }

    private static List<Tensor> of(Collection<Tensor> parameters) {
        return parameters.stream().map(Tensor::grad).filter(Objects::nonNull).toList();
    }

    private static double normOf(List<Tensor> gradients) {
        if (gradients.isEmpty()) {
            return 0;
        }
        List<Tensor> norms =
                Foreach.norm(gradients).stream().map(t -> t.to(DType.FLOAT32)).toList();
        return Tensor.stack(0, norms).norm(false).item(); // one number crosses from the device, not one a tensor
    }
}
