package dev.zoetrope.training.evaluation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;

/** How close pictures are to others: {@code a, b [B, C, H, W]} in 0..1. */
public final class ImageQuality {
    private static final int WINDOW = 11;
    private static final double SIGMA = 1.5;
    private static final double C1 = 0.01 * 0.01;
    private static final double C2 = 0.03 * 0.03;
    private static final double[] SCALES = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

    private ImageQuality() {}

    /** Mean squared error over everything. */
    public static double mse(Tensor a, Tensor b) {
        try (Scope s = Scope.open()) {
            return a.sub(b).square().mean().item();
        }
    }

    /** Peak signal to noise ratio of each picture in dB, {@code [B]}. */
    public static Tensor psnr(Tensor a, Tensor b) {
        try (Scope s = Scope.open()) {
            Tensor each = a.sub(b).square().flatten(1).mean(1);
            return s.keep(each.log().mul(-10 / Math.log(10)));
        }
    }

    /** That of all pictures together. */
    public static double psnrOfAll(Tensor a, Tensor b) {
        return -10 * Math.log10(mse(a, b));
    }

    /**
     * Structural similarity of each picture, Wang et al. 2004: {@code [B]}. Windows that reach beyond the edge see the
     * picture mirrored.
     */
    public static Tensor ssim(Tensor a, Tensor b) {
        try (Scope s = Scope.open()) {
            return s.keep(compare(a, b).similarity().flatten(1).mean(1));
        }
    }

    /** As {@link #ssim}, over the windows that lie within the picture. */
    public static Tensor ssimInside(Tensor a, Tensor b) {
        if (Math.min(a.size(2), a.size(3)) < WINDOW) {
            throw new UserError("pictures of " + a.size(3) + " x " + a.size(2) + " are too small for a window of "
                    + WINDOW + " x " + WINDOW);
        }
        try (Scope s = Scope.open()) {
            return s.keep(inner(compare(a, b).similarity()).flatten(1).mean(1));
        }
    }

    /** Structural similarity over five scales, Wang et al. 2003: {@code [B]}. */
    public static Tensor msSsim(Tensor a, Tensor b) {
        long least = (WINDOW - 1) << (SCALES.length - 1);
        if (Math.min(a.size(2), a.size(3)) <= least) {
            throw new UserError("pictures of " + a.size(3) + " x " + a.size(2) + " are too small for five scales; both "
                    + "sides must be above " + least);
        }
        try (Scope s = Scope.open()) {
            List<Tensor> factors = new ArrayList<>();
            Tensor x = a;
            Tensor y = b;
            for (int i = 0; i < SCALES.length; i++) {
                Maps m = compare(x, y);
                boolean last = i == SCALES.length - 1;
                Tensor mean = (last ? m.similarity() : inner(m.structure()))
                        .flatten(1)
                        .mean(1);
                factors.add(mean.relu().pow(SCALES[i]));
                if (!last) {
                    x = Functional.avgPool2d(x, 2, 2, 0);
                    y = Functional.avgPool2d(y, 2, 2, 0);
                }
            }
            return s.keep(Tensor.stack(0, factors).prod(0, false));
        }
    }

    /** Without the border that saw beyond the edge. */
    private static Tensor inner(Tensor map) {
        long border = WINDOW / 2;
        return map.slice(2, border, -border).slice(3, border, -border);
    }

    /** Place by place: contrast with structure, and these with luminance. */
    private record Maps(Tensor similarity, Tensor structure) {}

    private static Maps compare(Tensor a, Tensor b) {
        Check.shape(b.shape(), "the second pictures", a.shape());
        Tensor ma = blurred(a);
        Tensor mb = blurred(b);
        Tensor va = blurred(a.square()).sub(ma.square()).clamp(0, Double.POSITIVE_INFINITY);
        Tensor vb = blurred(b.square()).sub(mb.square()).clamp(0, Double.POSITIVE_INFINITY);
        Tensor both = blurred(a.mul(b)).sub(ma.mul(mb));
        Tensor structure = both.mul(2.0).add(C2).div(va.add(vb).add(C2));
        Tensor luminance =
                ma.mul(mb).mul(2.0).add(C1).div(ma.square().add(mb.square()).add(C1));
        return new Maps(luminance.mul(structure), structure);
    }

    /** By a Gaussian window, which beyond the edge sees the picture mirrored. */
    private static Tensor blurred(Tensor x) {
        int half = WINDOW / 2;
        double[] taps = new double[WINDOW];
        double sum = 0;
        for (int i = 0; i < WINDOW; i++) {
            taps[i] = Math.exp(-Math.pow((i - half) / SIGMA, 2) / 2);
            sum += taps[i];
        }
        Tensor line = Tensor.of(taps, WINDOW).div(sum).to(x.dtype());
        Tensor window = line.unsqueeze(1).mul(line).reshape(1, 1, WINDOW, WINDOW);
        Tensor mirrored = Functional.pad(x, Functional.Padding.REFLECT, half, half, half, half);
        Tensor planes = mirrored.reshape(-1, 1, mirrored.size(2), mirrored.size(3));
        Tensor y = Functional.conv2d(planes, window, null, 1, 0, 1, 1);
        return y.reshape(x.size(0), x.size(1), y.size(2), y.size(3));
    }
}
