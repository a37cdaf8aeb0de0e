package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** {@code [B, in, H, W] -> [B, out, H', W']}. */
public final class Conv2d implements Module {
    private final Tensor weight;
    private final @Nullable Tensor bias;
    private final long stride;
    private final long padding;
    private final long groups;

    public Conv2d(Weights w, long in, long out, long kernel, long stride, long padding, long groups, boolean hasBias) {
        this.weight = w.product("weight", Init.fanIn(), out, in / groups, kernel, kernel);
        this.bias = hasBias ? w.tensor("bias", Init.fanInBias(in / groups * kernel * kernel), out) : null;
        this.stride = stride;
        this.padding = padding;
        this.groups = groups;
    }

    public Conv2d(Weights w, long in, long out, long kernel, long stride, long padding) {
        this(w, in, out, kernel, stride, padding, 1, true);
    }

    /** Non-overlapping patches: kernel and stride are the patch's side. */
    public static Conv2d patches(Weights w, long in, long out, long patch, boolean hasBias) {
        return new Conv2d(w, in, out, patch, patch, 0, 1, hasBias);
    }

    public static Conv2d patches(Weights w, long in, long out, long patch) {
        return patches(w, in, out, patch, true);
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.conv2d(x, weight, bias, stride, padding, 1, groups);
    }
}
