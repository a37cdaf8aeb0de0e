package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** {@code [B, in, H, W] -> [B, out, H', W']}, where H' = (H - 1) * stride - 2 * padding + kernel. */
public final class ConvTranspose2d implements Module {
    private final Tensor weight;
    private final @Nullable Tensor bias;
    private final long stride;
    private final long padding;

    public ConvTranspose2d(Weights w, long in, long out, long kernel, long stride, long padding, boolean hasBias) {
        this.weight = w.product("weight", Init.fanIn(), in, out, kernel, kernel);
        this.bias = hasBias ? w.tensor("bias", Init.fanInBias(out * kernel * kernel), out) : null;
        this.stride = stride;
        this.padding = padding;
    }

    public ConvTranspose2d(Weights w, long in, long out, long kernel, long stride, long padding) {
        this(w, in, out, kernel, stride, padding, true);
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.convTranspose2d(x, weight, bias, stride, padding, 0, 1);
    }
}
