package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;

/** How noise levels lie between the highest and the lowest of a run. */
public enum Curve {
    /** As the timesteps have them. */
    NONE,
    /** Evenly in sigma^(1/7), arXiv:2206.00364. */
    KARRAS,
    /** Evenly in log sigma. */
    EXPONENTIAL,
    /** By the quantiles of a Beta(0.6, 0.6) distribution, arXiv:2407.12173. */
    BETA;

    private static final double RHO = 7;

    static Curve of(Json j) {
        Curve r = NONE;
        for (Curve c : new Curve[] {KARRAS, EXPONENTIAL, BETA}) {
            String key = "use_" + c.name().toLowerCase(java.util.Locale.ROOT) + "_sigmas";
            if (j.get(key, false)) {
                if (r != NONE) {
                    throw new UserError(j.name() + ": only one of use_karras_sigmas, use_exponential_sigmas and "
                            + "use_beta_sigmas can be true");
                }
                r = c;
            }
        }
        return r;
    }

    /** n levels, highest first. */
    double[] between(double lowest, double highest, int n) {
        double[] ramp = Spacing.linspace(0, 1, n);
        return switch (this) {
            case NONE -> throw new IllegalStateException();
            case KARRAS -> {
                double low = Math.pow(lowest, 1 / RHO);
                double high = Math.pow(highest, 1 / RHO);
                yield map(ramp, x -> Math.pow(high + x * (low - high), RHO));
            }
            case EXPONENTIAL -> map(Spacing.linspace(Math.log(highest), Math.log(lowest), n), Math::exp);
            case BETA -> map(ramp, x -> lowest + SymmetricBeta.quantile(0.6, 1 - x) * (highest - lowest));
        };
    }

    private static double[] map(double[] values, java.util.function.DoubleUnaryOperator f) {
        return java.util.Arrays.stream(values).map(f).toArray();
    }
}
