package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import org.jspecify.annotations.Nullable;

/**
 * Where the noise levels of a run lie, as the schedulers that go by sigma configure it.
 *
 * @param lowest of a {@link Curve}; null for that of the run's last timestep
 * @param highest of a {@link Curve}; null for that of its first
 * @param logLinear whether the levels lie evenly in log sigma between those of the run's ends, one more than steps
 */
public record SigmaLevels(
        NoiseTable table,
        Curve curve,
        @Nullable Double lowest,
        @Nullable Double highest,
        boolean logLinear,
        Spacing spacing,
        int stepsOffset) {
    static SigmaLevels of(Json j, NoiseTable table) {
        return new SigmaLevels(
                table,
                Curve.of(j),
                j.has("sigma_min") ? Double.valueOf(j.get("sigma_min", 0.0)) : null,
                j.has("sigma_max") ? Double.valueOf(j.get("sigma_max", 0.0)) : null,
                switch (j.get("interpolation_type", "linear")) {
                    case "linear" -> false;
                    case "log_linear" -> true;
                    default -> throw j.unsupported("interpolation_type", "linear, log_linear");
                },
                Spacing.of(j, Spacing.LINSPACE),
                j.get("steps_offset", 0));
    }

    /** Timesteps of a run with their levels, highest first. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Levels(double[] timesteps, double[] sigmas) {}

    Levels of(Plan plan) {
        Sigmas bySigma = new Sigmas(table);
        if (!plan.sigmas().isEmpty()) { // with the one after the last step, as Euler takes them
            double[] given = Sigmas.rounded(Plan.array(plan.sigmas()));
            Check.atMost(given.length, 2, "the number of sigmas", "the least number");
            double[] before = java.util.Arrays.copyOf(given, given.length - 1);
            return new Levels(Sigmas.rounded(bySigma.timesteps(before)), given);
        }
        double[] timesteps = Sigmas.rounded(
                plan.timesteps().isEmpty()
                        ? spacing.fractional(table.size(), plan.steps(), stepsOffset)
                        : Plan.array(plan.timesteps()));
        double[] sigmas = logLinear ? logLinear(bySigma, plan.steps()) : bySigma.at(timesteps);
        if (curve != Curve.NONE) {
            sigmas = curve.between(
                    lowest != null ? lowest : sigmas[sigmas.length - 1],
                    highest != null ? highest : sigmas[0],
                    plan.steps());
            timesteps = Sigmas.rounded(bySigma.timesteps(sigmas));
        }
        return new Levels(timesteps, sigmas);
    }

    private static double[] logLinear(Sigmas s, int steps) {
        double[] logs = Spacing.linspace(s.logHighest(), s.logLowest(), steps + 1);
        return java.util.Arrays.stream(logs)
                .map(log -> (float) Math.exp((float) log))
                .toArray();
    }

    /** Whether a run starts from noise of its highest level alone. */
    boolean startsAtSigma() {
        return spacing != Spacing.LEADING;
    }
}
