package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;

/** Normalises each group of channels of {@code [B, C, ...]}, arXiv:1803.08494. */
public final class GroupNorm implements Module {
    private final long groups;
    private final Tensor weight;
    private final Tensor bias;
    private final double eps;

    public GroupNorm(Weights w, int groups, int channels, double eps) {
        Check.divides(groups, channels, "groups", "channels");
        this.groups = groups;
        this.weight = w.tensor("weight", Init.ones(), channels);
        this.bias = w.tensor("bias", Init.zeros(), channels);
        this.eps = eps;
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.groupNorm(x, groups, weight, bias, eps);
    }
}
