package dev.zoetrope.training.evaluation;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * The distance of two sets by the normal distributions that fit their features, arXiv:1706.08500, in float64:
 * {@code |ma - mb|^2 + trace(Ca + Cb - 2 sqrt(Ca Cb))}.
 */
public final class FrechetDistance {
    private FrechetDistance() {}

    /**
     * A normal distribution.
     *
     * @param mean {@code [F]}
     * @param covariance {@code [F, F]}, over n - 1
     */
    public record Normal(Tensor mean, Tensor covariance) {
        /** That of features {@code [N, F]}, float64. */
        public static Normal of(Tensor features) {
            if (features.size(0) < 2) {
                throw new UserError(
                        "a Frechet distance needs at least two samples on each side, not " + features.size(0));
            }
            try (Scope s = Scope.open()) {
                Tensor x = features.to(DType.FLOAT64);
                Tensor mean = x.mean(0);
                Tensor centred = x.sub(mean);
                Tensor covariance = centred.transpose(0, 1).matmul(centred).div(x.size(0) - 1.0);
                return new Normal(s.keep(mean), s.keep(covariance));
            }
        }
    }

    public static double between(Normal a, Normal b) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            double means = a.mean.sub(b.mean).square().sum().item();
            return means + trace(a.covariance) + trace(b.covariance) - 2 * rootTrace(a.covariance, b.covariance);
        }
    }

    private static double trace(Tensor m) {
        return m.mul(Tensor.eye(m.size(0)).to(m.dtype())).sum().item();
    }

    /** Of sqrt(Ca Cb), whose eigenvalues are those of the symmetric sqrt(Ca) Cb sqrt(Ca). */
    private static double rootTrace(Tensor a, Tensor b) {
        Functional.Eigen e = Functional.eigh(a);
        Tensor root = e.vectors()
                .mul(e.values().clamp(0, Double.POSITIVE_INFINITY).sqrt())
                .matmul(e.vectors().transpose(0, 1));
        Tensor product = root.matmul(b).matmul(root);
        Tensor symmetric = product.add(product.transpose(0, 1)).mul(0.5);
        return Functional.eigh(symmetric)
                .values()
                .clamp(0, Double.POSITIVE_INFINITY)
                .sqrt()
                .sum()
                .item();
    }
}
