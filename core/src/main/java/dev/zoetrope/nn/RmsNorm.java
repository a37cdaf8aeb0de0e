package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;

/** x / rms(x) * weight over the last axis, arXiv:1910.07467. */
public final class RmsNorm implements Module {
    private final Tensor weight;
    private final double eps;

    public RmsNorm(Weights w, long dim, double eps) {
        this.weight = w.tensor("weight", Init.ones(), dim);
        this.eps = eps;
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.rmsNorm(x, weight, eps);
    }
}
