package dev.zoetrope.models.quantize;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What a quantiser does around its work: channels go last, and where features are not as wide as the alphabet needs, linear
 * layers stand before and behind.
 *
 * <p>Axes: B rows, C channels of the features, then any axes, W width of what is quantised.
 */
final class Projections {
    private final @Nullable Linear in;
    private final @Nullable Linear out;
    private final int width;

    /**
     * @param dim C
     * @param width W
     */
    Projections(Weights w, int dim, int width) {
        this.width = width;
        in = dim == width ? null : new Linear(w.at("project_in"), dim, width);
        out = dim == width ? null : new Linear(w.at("project_out"), width, dim);
    }

    /** {@code [..., C] -> [..., W]}. */
    Tensor in(Tensor x) {
        return in == null ? x : in.forward(x);
    }

    /** {@code [..., W] -> [..., C]}. */
    Tensor out(Tensor x) {
        return out == null ? x : out.forward(x);
    }

    int width() {
        return width;
    }

    /** {@code [B, C, ...] -> [B, ..., C]}. */
    static Tensor channelsLast(Tensor features) {
        long[] shape = features.shape();
        long[] axes = new long[shape.length];
        for (int i = 1; i < shape.length - 1; i++) {
            axes[i] = i + 1L;
        }
        axes[shape.length - 1] = 1;
        return features.permute(axes);
    }

    /** {@code [B, ..., C] -> [B, C, ...]}. */
    static Tensor channelsFirst(Tensor x) {
        int last = x.dim() - 1;
        long[] axes = new long[last + 1];
        axes[1] = last;
        for (int i = 2; i <= last; i++) {
            axes[i] = i - 1L;
        }
        return x.permute(axes).contiguous();
    }
}
