package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code [..., in] -> [..., out]}: x W^T + b. Drawn as PyTorch draws it where there is no file. {@link Adapters} finds
 * it by its path.
 */
public final class Linear implements Module {
    private final Tensor weight;
    private final @Nullable Tensor bias;
    private final LoraStack adapters;

    public Linear(Weights w, long in, long out) {
        this(w, in, out, true);
    }

    public Linear(Weights w, long in, long out, boolean hasBias) {
        weight = w.product("weight", Init.fanIn(), out, in);
        bias = hasBias ? w.tensor("bias", Init.fanInBias(in), out) : null;
        adapters = w.part(new LoraStack(weight));
    }

    /** One whose weight is somebody else's, such as a word embedding. */
    public Linear(Tensor weight, @Nullable Tensor bias) {
        this.weight = weight;
        this.bias = bias;
        adapters = new LoraStack(weight);
    }

    @Override
    public Tensor forward(Tensor x) {
        return adapters.add(x, Functional.linear(x, weight, bias));
    }

    public Tensor weight() {
        return weight;
    }

    public @Nullable Tensor bias() {
        return bias;
    }
}
