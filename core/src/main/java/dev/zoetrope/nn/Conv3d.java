package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** {@code [B, in, T, H, W] -> [B, out, T', H', W']}. Kernel, stride and padding are (time, height, width). */
public final class Conv3d implements Module {
    /** What comes before the first frame. */
    public enum Past {
        /** Zeros on both ends, as the padding says. */
        PADDED,
        /** Kernel - 1 frames of zeros, and nothing after the last: no frame sees a later one. */
        ZEROS,
        /** The first frame, kernel - 1 times, and nothing after the last: no frame sees a later one. */
        FIRST_FRAME
    }

    private final Tensor weight;
    private final @Nullable Tensor bias;
    private final long[] stride;
    private final long[] padding;
    private final Past past;

    /** With {@link Past#PADDED} {@code padding[0]} counts at both ends of time; otherwise it must be 0. */
    public Conv3d(
            Weights w, long in, long out, long[] kernel, long[] stride, long[] padding, Past past, boolean hasBias) {
        if (past != Past.PADDED && padding[0] != 0) {
            throw new IllegalArgumentException(
                    "a causal convolution pads time by its kernel; padding[0] is " + padding[0] + ", not 0");
        }
        this.weight = w.product("weight", Init.fanIn(), out, in, kernel[0], kernel[1], kernel[2]);
        this.bias = hasBias ? w.tensor("bias", Init.fanInBias(in * kernel[0] * kernel[1] * kernel[2]), out) : null;
        this.stride = stride.clone();
        this.padding = padding.clone();
        this.past = past;
    }

    /** A cube with stride 1 that keeps height and width; the kernel is odd. */
    public static Conv3d cube(Weights w, long in, long out, long kernel, Past past) {
        long side = kernel / 2;
        return new Conv3d(
                w,
                in,
                out,
                new long[] {kernel, kernel, kernel},
                new long[] {1, 1, 1},
                new long[] {past == Past.PADDED ? side : 0, side, side},
                past,
                true);
    }

    /** One piece of a longer video: the frames before it are those that the cache remembers. */
    public Tensor forward(Tensor x, FrameCache cache) {
        long before = weight.size(2) - 1;
        if (past == Past.PADDED) {
            throw new IllegalStateException("a convolution that sees later frames cannot go in pieces");
        }
        if (before == 0) {
            return forward(x);
        }
        try (Scope s = Scope.open()) {
            @Nullable Tensor last = cache.get(this);
            Tensor longer = last == null ? longer(x) : Tensor.cat(2, last, x);
            cache.put(this, longer.narrow(2, longer.size(2) - before, before));
            return s.keep(Functional.conv3d(longer, weight, bias, stride, padding, new long[] {1, 1, 1}, 1));
        }
    }

    @Override
    public Tensor forward(Tensor x) {
        try (Scope s = Scope.open()) {
            return s.keep(Functional.conv3d(longer(x), weight, bias, stride, padding, new long[] {1, 1, 1}, 1));
        }
    }

    private Tensor longer(Tensor x) {
        long before = weight.size(2) - 1;
        return switch (past) {
            case PADDED -> x;
            case ZEROS -> Functional.pad(x, 0., 0, 0, 0, 0, before, 0);
            case FIRST_FRAME -> Functional.pad(x, Functional.Padding.REPLICATE, 0, 0, 0, 0, before, 0);
        };
    }
}
