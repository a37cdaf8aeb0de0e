package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
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
        PackedWeight stored = stored(w, in, out);
        weight = stored == null ? w.product("weight", Init.fanIn(), out, in) : absent(w, in, out);
        bias = hasBias ? w.tensor("bias", Init.fanInBias(in), out) : null;
        adapters = w.part(new LoraStack(weight));
        PackedWeight.Kind kind = w.packing();
        packed = stored != null ? stored : kind == null ? null : w.part(PackedWeight.of(kind, weight));
        if (stored != null) {
            weight.close();
        } else if (packed != null) {
            w.drop("weight");
        }
    }

    /** Of a checkpoint that was written in fewer bits: {@code weight.int8} or {@code weight.int4} stands for the weight. */
    private static @Nullable PackedWeight stored(Weights w, long in, long out) {
        boolean four = w.has("weight.int4");
        if (!four && !w.has("weight.int8")) {
            return null;
        }
        Weights as = w.asStored();
        PackedWeight packed;
        if (four) {
            long groups = in / PackedWeight.GROUP;
            packed = PackedWeight.of(new PackedWeight.Stored(
                    as.tensor("weight.int4", Init.zeros(), out, in / 2),
                    as.tensor("weight.scale", Init.zeros(), out, groups),
                    as.tensor("weight.offset", Init.zeros(), out, groups)));
        } else {
            packed = PackedWeight.of(new PackedWeight.Stored(
                    as.tensor("weight.int8", Init.zeros(), out, in),
                    as.tensor("weight.scale", Init.zeros(), out),
                    null));
        }
        List.of("weight.int4", "weight.int8", "weight.scale", "weight.offset").forEach(w::drop);
        return w.part(packed);
    }

    private static Tensor absent(Weights w, long in, long out) {
        return Scope.detach(Tensor.zeros().expand(out, in)).named(w.path().isEmpty() ? "weight" : w.path() + ".weight");
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
