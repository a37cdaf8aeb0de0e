package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import org.jspecify.annotations.Nullable;

/**
 * Where the noise levels of a run lie, as the solvers in half log signal to noise ratio configure it (DPM-Solver, UniPC).
 *
 * @param lowest of a {@link Curve}; null for that of training
 * @param highest of a {@link Curve}; null for that of training
 * @param lu whether the levels lie evenly in their logarithm
 * @param flow whether the levels are those of flow matching, where {@code x = (1 - sigma) x_0 + sigma noise}
 * @param flowShift above 1 moves the levels of flow matching up
 * @param dynamicShift whether the run says the shift
 * @param last the level after the last step
 * @param wholeCurve whether timesteps of a Karras curve are rounded
 */
public record SolverLevels(
        NoiseTable table,
        Curve curve,
        @Nullable Double lowest,
        @Nullable Double highest,
        boolean lu,
        boolean flow,
        double flowShift,
        boolean dynamicShift,
        FinalSigma last,
        Spacing spacing,
        int stepsOffset,
        boolean wholeCurve) {
    static SolverLevels of(Json j) {
        NoiseTable table = NoiseTable.of(j);
        return new SolverLevels(
                j.get("rescale_betas_zero_snr", false) ? table.finiteAtTheEnd() : table,
                Curve.of(j),
                j.has("sigma_min") ? Double.valueOf(j.get("sigma_min", 0.0)) : null,
                j.has("sigma_max") ? Double.valueOf(j.get("sigma_max", 0.0)) : null,
                j.get("use_lu_lambdas", false),
                j.get("use_flow_sigmas", false),
                j.get("flow_shift", 1.0),
                j.get("use_dynamic_shifting", false),
                FinalSigma.of(j),
                Spacing.of(j, Spacing.LINSPACE),
                j.get("steps_offset", 0),
                j.get("beta_schedule", NoiseTable.Betas.LINEAR) != NoiseTable.Betas.SQUAREDCOS_CAP_V2);
    }

    /** Timesteps of a run, whole; and its levels with the last, in float32. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Levels(double[] timesteps, double[] sigmas) {}

    /** Highest and lowest level of the curve, over all of training. */
    double[] curved(Sigmas all, int steps) {
        return curve.between(lowest != null ? lowest : all.lowest(), highest != null ? highest : all.highest(), steps);
    }

    double shift(Plan plan) {
        if (!dynamicShift) {
            return flowShift;
        }
        if (plan.mu() == null) {
            throw new UserError("use_dynamic_shifting: the run must say mu, which depends on the size of the sample");
        }
        return Math.exp(plan.mu());
    }

    Level level(float sigma) {
        if (flow) {
            return new Level(1 - sigma, sigma);
        }
        float alpha = 1 / (float) Math.sqrt(sigma * sigma + 1);
        return new Level(alpha, sigma * alpha);
    }
}
