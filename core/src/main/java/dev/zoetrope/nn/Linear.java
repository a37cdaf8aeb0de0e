package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.PackedWeight;
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
    private final @Nullable PackedWeight packed; // then the weight itself is gone

    public Linear(Weights w, long in, long out) {
        this(w, in, out, true);
    }

    public Linear(Weights w, long in, long out, boolean hasBias) {
        weight = w.product("weight", Init.fanIn(), out, in);
        bias = hasBias ? w.tensor("bias", Init.fanInBias(in), out) : null;
        adapters = w.part(new LoraStack(weight));
        PackedWeight.Kind kind = w.packing();
        packed = kind == null ? null : w.part(PackedWeight.of(kind, weight));
        if (packed != null) {
            w.drop("weight");
        }
    }

    /** One whose weight is somebody else's, such as a word embedding. */
    public Linear(Tensor weight, @Nullable Tensor bias) {
        this.weight = weight;
        this.bias = bias;
        adapters = new LoraStack(weight);
        packed = null;
    }

    @Override
    public Tensor forward(Tensor x) {
        return adapters.add(x, packed == null ? Functional.linear(x, weight, bias) : packed.linear(x, bias));
    }

    public Tensor weight() {
        return weight;
    }

    public @Nullable Tensor bias() {
        return bias;
    }
}
