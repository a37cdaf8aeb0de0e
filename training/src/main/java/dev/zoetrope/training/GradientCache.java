package dev.zoetrope.training;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;

/**
 * A contrastive loss over more pairs than a network's activations leave room for, arXiv:2101.06983. All vectors are made
 * part by part without recording; the loss tells each vector's gradient; then each part is made again, recorded, and takes
 * its gradients on to the weights. Memory is that of one part, and the gradient that of the whole batch.
 */
public final class GradientCache {
    private GradientCache() {}

    /**
     * Adds the gradients of all parts but the last to the weights, and returns a number whose value is the loss and whose
     * {@code backward} adds those of the last.
     *
     * @param left parts of one side's vectors, {@code [b, E]} each; each is called twice and must answer the same
     * @param right parts of the other side's
     * @param loss of all vectors, {@code [B, E]} each; what it is made of besides them, such as a scale, is trained too
     * @param share factor on the gradients added here; the caller applies it to the returned number
     */
    public static Tensor loss(
            List<Supplier<Tensor>> left, List<Supplier<Tensor>> right, BinaryOperator<Tensor> loss, double share) {
        try (Scope s = Scope.open()) {
            Side a = Side.of(left);
            Side b = Side.of(right);
            Tensor value = loss.apply(a.vectors, b.vectors);
            value.mul(share).backward();
            List<Supplier<Tensor>> parts = new ArrayList<>(left);
            parts.addAll(right);
            List<Tensor> gradients = new ArrayList<>(a.gradients());
            gradients.addAll(b.gradients());
            int last = parts.size() - 1;
            for (int i = 0; i < last; i++) {
                try (Scope part = Scope.open()) {
                    parts.get(i).get().backward(gradients.get(i));
                }
            }
            Tensor rest =
                    parts.get(last).get().mul(gradients.get(last).div(share)).sum();
            return s.keep(rest.add(value.detach()).sub(rest.detach()));
        }
    }

    /** All vectors of one side, which nothing but the loss knows of, and how many each part made. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Side(Tensor vectors, long[] sizes) {
        static Side of(List<Supplier<Tensor>> parts) {
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open()) {
                List<Tensor> rows = parts.stream().map(Supplier::get).toList();
                long[] sizes = rows.stream().mapToLong(r -> r.size(0)).toArray();
                return new Side(s.keep(Tensor.cat(0, rows)).requireGrad(true), sizes);
            }
        }

        List<Tensor> gradients() {
            Tensor g = vectors.grad();
            if (g == null) {
                throw new IllegalArgumentException("the loss does not depend on the vectors");
            }
            return g.split(0, sizes);
        }
    }
}
