package dev.zoetrope.models.unet;

import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Halving and doubling by the smooth filter (1, 3, 3, 1) of arXiv:2011.13456, each channel for itself. */
final class Fir {
    private static final float[] TAPS = {1, 3, 3, 1};

    private Fir() {}

    static Tensor halve(Tensor x) { // [B, C, H, W] -> [B, C, H / 2, W / 2]
        try (Scope s = Scope.open()) {
            Tensor y = Functional.conv2d(single(x), kernel(1, x), null, 2, 1, 1, 1);
            return s.keep(y.reshape(x.size(0), x.size(1), y.size(2), y.size(3)));
        }
    }

    static Tensor twice(Tensor x) { // [B, C, H, W] -> [B, C, 2 H, 2 W]
        try (Scope s = Scope.open()) {
            Tensor y = Functional.convTranspose2d(single(x), kernel(4, x), null, 2, 1, 0, 1);
            return s.keep(y.reshape(x.size(0), x.size(1), y.size(2), y.size(3)));
        }
    }

    private static Tensor single(Tensor x) {
        return x.reshape(-1, 1, x.size(2), x.size(3));
    }

    /** {@code [1, 1, 4, 4]}, whose sum is the gain. */
    private static Tensor kernel(double gain, Tensor like) {
        Tensor taps = Tensor.of(TAPS, 4);
        Tensor square = taps.unsqueeze(1).mul(taps);
        return square.mul(gain / 64).reshape(1, 1, 4, 4).to(like.dtype()).to(like.device());
    }
}
