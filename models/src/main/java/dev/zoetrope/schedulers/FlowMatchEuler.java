package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Euler's method along the straight paths of flow matching, arXiv:2403.03206: {@code x = (1 - sigma) x_0 + sigma noise},
 * and the network answers {@code noise - x_0}.
 *
 * @param training number of timesteps of training, sigma * training is what the network is asked with
 * @param shift above 1 spends more of the steps near the noise
 * @param dynamicShift whether the run says its shift by mu, for the size of the sample
 * @param linearShift whether mu itself is the shift, else e^mu
 * @param terminal the level that the last step starts from; null where it follows from the rest
 * @param inverted whether the run goes from x_0 to noise
 * @param stochastic whether each step draws fresh noise
 */
public record FlowMatchEuler(
        int training,
        double shift,
        boolean dynamicShift,
        boolean linearShift,
        @Nullable Double terminal,
        Curve curve,
        boolean inverted,
        boolean stochastic,
        double baseShift,
        double maxShift,
        int baseLength,
        int maxLength)
        implements Scheduler {
    public FlowMatchEuler {
        Check.positive(training, "num_train_timesteps");
        Check.positive(shift, "shift");
        if (terminal != null) {
            Check.between(0, Math.nextDown(1.0), terminal, "shift_terminal");
        }
    }

    public static FlowMatchEuler of(Json j) {
        double terminal = j.get("shift_terminal", 0.0);
        return new FlowMatchEuler(
                j.get("num_train_timesteps", 1000),
                j.get("shift", 1.0),
                j.get("use_dynamic_shifting", false),
                switch (j.get("time_shift_type", "exponential")) {
                    case "exponential" -> false;
                    case "linear" -> true;
                    default -> throw j.unsupported("time_shift_type", "exponential, linear");
                },
                terminal == 0 ? null : Double.valueOf(terminal),
                Curve.of(j),
                j.get("invert_sigmas", false),
                j.get("stochastic_sampling", false),
                j.get("base_shift", 0.5),
                j.get("max_shift", 1.15),
                j.get("base_image_seq_len", 256),
                j.get("max_image_seq_len", 4096));
    }

    /** The mu of a sample of so many tokens: linear between those of the base and the maximal length. */
    public double mu(int tokens) {
        double slope = (maxShift - baseShift) / (maxLength - baseLength);
        return tokens * slope + baseShift - slope * baseLength;
    }

    @Override
    public Run start(Plan plan) {
        double[] s = shifted(plan);
        if (terminal != null) {
            stretch(s, terminal);
        }
        if (curve != Curve.NONE) {
            s = curve.between(s[s.length - 1], s[0], s.length);
        }
        double[] sigmas = Sigmas.withLast(s, 0);
        if (inverted) {
            sigmas = Arrays.stream(sigmas).map(x -> 1 - (float) x).toArray();
        }
        double[] timesteps = new double[s.length];
        for (int i = 0; i < s.length; i++) {
            timesteps[i] = (float) sigmas[i] * training;
        }
        return new State(timesteps, sigmas, plan.begin());
    }

    /** The levels of a run before the finer points, highest first. */
    private double[] shifted(Plan plan) {
        double[] s;
        if (!plan.sigmas().isEmpty()) {
            s = Sigmas.rounded(Plan.array(plan.sigmas()));
        } else if (!plan.timesteps().isEmpty()) {
            s = Arrays.stream(Plan.array(plan.timesteps()))
                    .map(t -> (float) t / training)
                    .toArray();
        } else {
            // The reference bounds the run by the ends of a table that is shifted already, then shifts again.
            float lowest = tableEnd(1);
            float highest = tableEnd(training);
            s = Spacing.linspace((double) highest * training, (double) lowest * training, plan.steps());
            for (int i = 0; i < s.length; i++) {
                s[i] /= training;
            }
        }
        double by = shift(plan);
        return Arrays.stream(s).map(x -> by * x / (1 + (by - 1) * x)).toArray();
    }

    private float tableEnd(int timestep) {
        float sigma = (float) timestep / training;
        float by = (float) shift;
        return dynamicShift ? sigma : by * sigma / (1 + (by - 1) * sigma);
    }

    private double shift(Plan plan) {
        if (!dynamicShift) {
            return shift;
        }
        if (plan.mu() == null) {
            throw new UserError("use_dynamic_shifting: the run must say mu, which depends on the size of the sample");
        }
        return linearShift ? plan.mu() : Math.exp(plan.mu());
    }

    /** In place: the last level becomes the terminal one, the distances to 1 keep their proportions. */
    static void stretch(double[] sigmas, double terminal) {
        double factor = (1 - sigmas[sigmas.length - 1]) / (1 - terminal);
        for (int i = 0; i < sigmas.length; i++) {
            sigmas[i] = 1 - (1 - sigmas[i]) / factor;
        }
    }

    private final class State extends Run {
        private final double[] sigmas;

        State(double[] timesteps, double[] sigmas, int begin) {
            super(timesteps, begin);
            this.sigmas = sigmas;
        }

        @Override
        public double[] sigmas() {
            return sigmas.clone();
        }

        @Override
        Tensor next(Tensor output, Tensor sample, Noise noise) {
            float sigma = (float) sigmas[index()];
            float after = (float) sigmas[index() + 1];
            if (stochastic) {
                Tensor clean = Weighted.sum(1, sample, -sigma, output);
                return Weighted.sum(1 - after, clean, after, noise.draw(sample.shape()));
            }
            return Weighted.sum(1, sample, after - sigma, output);
        }

        @Override
        Level level(double timestep) {
            float sigma = (float) sigmas[indexOf(timestep)];
            return new Level(1 - sigma, sigma);
        }
    }
}
