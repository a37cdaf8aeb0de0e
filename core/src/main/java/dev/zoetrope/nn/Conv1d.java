package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** {@code [B, in, L] -> [B, out, L']}. */
public final class Conv1d implements Module {
    private final Tensor weight;
    private final @Nullable Tensor bias;
    private final long stride;
    private final long padding;
    private final long dilation;
    private final long groups;

    public Conv1d(
            Weights w,
            long in,
            long out,
            long kernel,
            long stride,
            long padding,
            long dilation,
            long groups,
            boolean hasBias) {
        this.weight = w.product("weight", Init.fanIn(), out, in / groups, kernel);
        this.bias = hasBias ? w.tensor("bias", Init.fanInBias(in / groups * kernel), out) : null;
        this.stride = stride;
        this.padding = padding;
        this.dilation = dilation;
        this.groups = groups;
    }

    public Conv1d(Weights w, long in, long out, long kernel, long stride, long padding) {
        this(w, in, out, kernel, stride, padding, 1, 1, true);
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.conv1d(x, weight, bias, stride, padding, dilation, groups);
    }
}
