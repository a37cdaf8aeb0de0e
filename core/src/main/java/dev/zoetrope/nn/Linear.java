package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** {@code [..., in] -> [..., out]}: x W^T + b. Drawn as PyTorch draws it where there is no file. */
public final class Linear implements Module {
    private final Tensor weight;
    private final @Nullable Tensor bias;

    public Linear(Weights w, long in, long out) {
        this(w, in, out, true);
    }

    public Linear(Weights w, long in, long out, boolean hasBias) {
        weight = w.tensor("weight", Init.fanIn(), out, in);
        bias = hasBias ? w.tensor("bias", Init.fanInBias(in), out) : null;
    }

    /** One whose weight is somebody else's, such as a word embedding. */
    public Linear(Tensor weight, @Nullable Tensor bias) {
        this.weight = weight;
        this.bias = bias;
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.linear(x, weight, bias);
    }

    public Tensor weight() {
        return weight;
    }

    public @Nullable Tensor bias() {
        return bias;
    }
}
