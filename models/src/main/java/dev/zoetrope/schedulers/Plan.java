package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.UserError;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a run is spaced.
 *
 * @param steps from noise to sample; some schedulers ask the network more often
 * @param timesteps instead of the scheduler's own; empty for these
 * @param sigmas noise levels instead of the scheduler's own; empty for these
 * @param mu the shift of flow matching for the size of this sample, see {@link FlowMatchEuler#mu}; null where fixed
 * @param begin calls of the network that are left out at the start, as image to image does
 */
public record Plan(
        int steps, List<Double> timesteps, List<Double> sigmas, @Nullable Double mu, int begin, StepOptions options) {
    public Plan {
        Check.positive(steps, "steps");
        timesteps = List.copyOf(timesteps);
        sigmas = List.copyOf(sigmas);
        if (begin < 0) {
            throw new UserError("a run cannot begin at step " + begin);
        }
    }

    public static Plan of(int steps) {
        return new Plan(steps, List.of(), List.of(), null, 0, StepOptions.DEFAULT);
    }

    public static Plan ofTimesteps(List<Double> timesteps) {
        return new Plan(timesteps.size(), timesteps, List.of(), null, 0, StepOptions.DEFAULT);
    }

    public static Plan ofSigmas(List<Double> sigmas) {
        return new Plan(sigmas.size(), List.of(), sigmas, null, 0, StepOptions.DEFAULT);
    }

    public Plan withMu(@Nullable Double value) {
        return new Plan(steps, timesteps, sigmas, value, begin, options);
    }

    public Plan from(int firstCall) {
        return new Plan(steps, timesteps, sigmas, mu, firstCall, options);
    }

    public Plan with(StepOptions value) {
        return new Plan(steps, timesteps, sigmas, mu, begin, value);
    }

    /** For schedulers that space their steps themselves. */
    void refuseTimesteps(String scheduler) {
        if (!timesteps.isEmpty()) {
            throw new UserError(scheduler + " takes a number of steps, not a list of timesteps");
        }
    }

    void refuseSigmas(String scheduler) {
        if (!sigmas.isEmpty()) {
            throw new UserError(scheduler + " takes a number of steps, not a list of sigmas");
        }
    }

    static double[] array(List<Double> values) {
        return values.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
