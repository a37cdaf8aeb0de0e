package dev.zoetrope.training.evaluation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * The distance of two sets of features as KID has it, arXiv:1801.01401: the unbiased square of the maximum mean
 * discrepancy under the kernel {@code (x.y / F + 1)^3}, over all samples at once, in float64.
 */
public final class KernelDistance {
    private KernelDistance() {}

    /** @param a, b features {@code [N, F]} and {@code [M, F]}, at least two samples each; may be below zero */
    public static double between(Tensor a, Tensor b) {
        Check.equal(b.size(1), a.size(1), "features of the second set", "features of the first");
        if (Math.min(a.size(0), b.size(0)) < 2) {
            throw new UserError("a kernel distance needs at least two samples on each side, not " + a.size(0) + " and "
                    + b.size(0));
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor x = a.to(DType.FLOAT64);
            Tensor y = b.to(DType.FLOAT64);
            return within(x) + within(y) - 2 * kernel(x, y).mean().item();
        }
    }

    /** Mean over pairs of different samples. */
    private static double within(Tensor x) {
        double n = x.size(0);
        double all = kernel(x, x).sum().item();
        double same =
                x.square().sum(1).div((double) x.size(1)).add(1).pow(3).sum().item();
        return (all - same) / (n * (n - 1));
    }

    private static Tensor kernel(Tensor x, Tensor y) {
        return x.matmul(y.transpose(0, 1)).div((double) x.size(1)).add(1).pow(3);
    }
}
