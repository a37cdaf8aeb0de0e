package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;

/** {@code [B, in, L] -> [B, out, L']}, where L' = (L - 1) * stride - 2 * padding + kernel. */
public final class ConvTranspose1d implements Module {
    private final Tensor weight;
    private final Tensor bias;
    private final long stride;
    private final long padding;

    public ConvTranspose1d(Weights w, long in, long out, long kernel, long stride, long padding) {
        this.weight = w.tensor("weight", Init.fanIn(), in, out, kernel);
        this.bias = w.tensor("bias", Init.fanInBias(out * kernel), out);
        this.stride = stride;
        this.padding = padding;
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.convTranspose1d(x, weight, bias, stride, padding, 0, 1, 1);
    }
}
