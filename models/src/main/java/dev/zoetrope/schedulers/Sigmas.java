package dev.zoetrope.schedulers;

/**
 * Between timesteps of training and noise levels sigma = noise / signal, which rise with the timestep: both ways by linear
 * interpolation, in the level itself one way and in its logarithm the other.
 */
final class Sigmas {
    private final float[] byTimestep;
    private final float[] logs;

    Sigmas(NoiseTable table) {
        byTimestep = table.sigmas();
        logs = new float[byTimestep.length];
        for (int t = 0; t < logs.length; t++) {
            logs[t] = (float) Math.log(byTimestep[t]);
        }
    }

    double lowest() {
        return byTimestep[0];
    }

    double highest() {
        return byTimestep[byTimestep.length - 1];
    }

    float logLowest() {
        return logs[0];
    }

    float logHighest() {
        return logs[logs.length - 1];
    }

    double at(double timestep) {
        int low = (int) Math.max(0, Math.min(byTimestep.length - 1, Math.floor(timestep)));
        if (low == byTimestep.length - 1 || timestep <= 0) {
            return byTimestep[low];
        }
        double slope = (double) byTimestep[low + 1] - byTimestep[low];
        return slope * (timestep - low) + byTimestep[low];
    }

    double[] at(double... timesteps) {
        return java.util.Arrays.stream(timesteps).map(this::at).toArray();
    }

    /** The timestep whose level this is. */
    double timestep(double sigma) {
        double log = Math.log(Math.max(sigma, 1e-10));
        int low = 0;
        for (int t = 0; t < logs.length - 1 && logs[t] <= log; t++) {
            low = t;
        }
        double below = logs[low];
        double above = logs[low + 1];
        double w = Math.max(0, Math.min(1, (below - log) / (below - above)));
        return (1 - w) * low + w * (low + 1);
    }

    double[] timesteps(double... sigmas) {
        return java.util.Arrays.stream(sigmas).map(this::timestep).toArray();
    }

    /** The levels of a run with the one after its last step, in float32 as the reference goes on with them. */
    static double[] withLast(double[] sigmas, double last) {
        double[] r = java.util.Arrays.copyOf(sigmas, sigmas.length + 1);
        r[sigmas.length] = last;
        return rounded(r);
    }

    /** To float32. */
    static double[] rounded(double... values) {
        return java.util.Arrays.stream(values).map(v -> (float) v).toArray();
    }

    static double[] truncated(double... timesteps) {
        return java.util.Arrays.stream(timesteps).map(t -> (double) (long) t).toArray();
    }
}
