package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Layers that halve or double height and width of {@code [B, C, H, W]}. */
public final class Resample2d {
    private Resample2d() {}

    /**
     * A 3 x 3 convolution in steps of two.
     *
     * @param padding on all sides; with 0 a row and a column of zeros are added below and on the right
     */
    public static Module down(Weights w, int channels, int padding) {
        Conv2d conv = new Conv2d(w.at("conv"), channels, channels, 3, 2, padding);
        return padding > 0
                ? conv
                : x -> {
                    try (Scope s = Scope.open()) {
                        return s.keep(conv.forward(Functional.pad(x, 0., 0, 1, 0, 1)));
                    }
                };
    }

    /** Means of 2 x 2 places. */
    public static Tensor halve(Tensor x) {
        return Functional.avgPool2d(x, 2, 2, 0);
    }

    /** Each place four times. */
    public static Tensor repeat(Tensor x) {
        return repeat(x, 2 * x.size(2), 2 * x.size(3));
    }

    public static Tensor repeat(Tensor x, long height, long width) {
        return Functional.interpolate(x, height, width, Functional.Interpolation.NEAREST, false, false);
    }

    /** Doubles by repetition, or goes to a size given, then smooths by a 3 x 3 convolution. */
    public static final class Up implements Module {
        private final Conv2d conv;

        public Up(Weights w, int channels) {
            conv = new Conv2d(w.at("conv"), channels, channels, 3, 1, 1);
        }

        @Override
        public Tensor forward(Tensor x) {
            return forward(x, 2 * x.size(2), 2 * x.size(3));
        }

        public Tensor forward(Tensor x, long height, long width) {
            try (Scope s = Scope.open()) {
                return s.keep(conv.forward(repeat(x, height, width)));
            }
        }
    }
}
