package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Normalises the last axis to mean 0 and variance 1, then scales and shifts where it has weights. */
public final class LayerNorm implements Module {
    private final long[] shape;
    private final @Nullable Tensor weight;
    private final @Nullable Tensor bias;
    private final double eps;

    public LayerNorm(Weights w, long dim, double eps) {
        this(w.tensor("weight", Init.ones(), dim), w.tensor("bias", Init.zeros(), dim), dim, eps);
    }

    private LayerNorm(@Nullable Tensor weight, @Nullable Tensor bias, long dim, double eps) {
        this.shape = new long[] {dim};
        this.weight = weight;
        this.bias = bias;
        this.eps = eps;
    }

    /** Without scale and shift, as under adaptive modulation. */
    public static LayerNorm plain(long dim, double eps) {
        return new LayerNorm(null, null, dim, eps);
    }

    /** With a scale and no shift. */
    public static LayerNorm withoutBias(Weights w, long dim, double eps) {
        return new LayerNorm(w.tensor("weight", Init.ones(), dim), null, dim, eps);
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.layerNorm(x, weight, bias, shape, eps);
    }
}
