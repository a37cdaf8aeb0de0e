package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.List;

/**
 * Ancestral sampling of denoising diffusion, arXiv:2006.11239: each step draws from the posterior of the sample one
 * timestep before, given the predicted x_0.
 */
public record Ddpm(
        NoiseTable table, Prediction prediction, Limit limit, Variance variance, Spacing spacing, int stepsOffset)
        implements Scheduler {
    /** The variance of the posterior. */
    public enum Variance {
        /** The true posterior's if x_0 is known. */
        FIXED_SMALL,
        FIXED_SMALL_LOG,
        /** Beta. */
        FIXED_LARGE,
        FIXED_LARGE_LOG,
        /** What the network answers behind its prediction. */
        LEARNED,
        /** Where the network puts it between the logarithms of small and large, arXiv:2102.09672. */
        LEARNED_RANGE;

        /** Whether the network says it. */
        public boolean learned() {
            return this == LEARNED || this == LEARNED_RANGE;
        }
    }

    public static Ddpm of(Json j) {
        return new Ddpm(
                NoiseTable.of(j),
                Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION),
                Limit.of(j, true),
                j.get("variance_type", Variance.FIXED_SMALL),
                Spacing.of(j, Spacing.LEADING),
                j.get("steps_offset", 0));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseSigmas("DDPM");
        double[] t = plan.timesteps().isEmpty()
                ? spacing.whole(table.size(), plan.steps(), stepsOffset)
                : descending(plan.timesteps());
        return new Run(t, plan.begin()) {
            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                double after = index() + 1 < count() ? timestep(index() + 1) : -1;
                return Ddpm.this.step(output, sample, (int) timestep(index()), (int) after, noise);
            }

            @Override
            Level level(double timestep) {
                return table.level((int) timestep);
            }
        };
    }

    private double[] descending(List<Double> timesteps) {
        double[] t = Plan.array(timesteps);
        for (int i = 0; i < t.length; i++) {
            if (t[i] != Math.rint(t[i]) || t[i] < 0 || t[i] >= (i == 0 ? table.size() : t[i - 1])) {
                throw new UserError(
                        "timesteps must be whole numbers below " + table.size() + " that fall, not " + timesteps);
            }
        }
        return t;
    }

    private Tensor step(Tensor answer, Tensor sample, int t, int before, Noise noise) {
        long channels = sample.size(1);
        boolean learned = variance.learned();
        if (learned && answer.size(1) != 2 * channels) {
            throw new UserError("variance_type " + variance + ": the network must answer 2 x " + channels
                    + " channels, not " + answer.size(1));
        }
        Tensor output = learned ? answer.narrow(1, 0, channels) : answer;
        float acp = table.alphaCumprod(t);
        float acpBefore = before >= 0 ? table.alphaCumprod(before) : 1;
        float alpha = acp / acpBefore; // of all timesteps between
        float beta = 1 - alpha;
        Tensor clean = limit.apply(table.level(t).clean(prediction, output, sample));
        float ofClean = (float) Math.sqrt(acpBefore) * beta / (1 - acp);
        float ofSample = (float) Math.sqrt(alpha) * (1 - acpBefore) / (1 - acp);
        Tensor mean = Weighted.sum(ofClean, clean, ofSample, sample);
        if (t == 0) {
            return mean;
        }
        float small = Math.max((1 - acpBefore) / (1 - acp) * beta, 1e-20f);
        Tensor drawn = noise.draw(sample.shape());
        return switch (variance) {
            case FIXED_SMALL, FIXED_SMALL_LOG -> Weighted.sum(1, mean, (float) Math.sqrt(small), drawn);
            case FIXED_LARGE, FIXED_LARGE_LOG -> Weighted.sum(1, mean, (float) Math.sqrt(beta), drawn);
            case LEARNED -> mean.add(answer.narrow(1, channels, channels).sqrt().mul(drawn));
            case LEARNED_RANGE ->
                mean.add(deviation(answer.narrow(1, channels, channels), small, beta)
                        .mul(drawn));
        };
    }

    /** exp(log variance / 2), whose place between small (-1) and large (1) the network says. */
    private static Tensor deviation(Tensor place, float small, float large) {
        try (Scope s = Scope.open()) {
            Tensor share = place.add(1).div(2.0);
            Tensor log = Weighted.sum(Math.log(large), share, Math.log(small), share.rsub(1));
            return s.keep(log.mul(0.5).exp());
        }
    }
}
