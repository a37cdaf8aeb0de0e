package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/**
 * Denoising diffusion implicit models, arXiv:2010.02502: from x_0 and noise as predicted at one timestep to the same at
 * the next, with fresh noise in place of some of it where eta is above 0.
 *
 * @param lastAlpha the cumulative product of alphas that the last step goes to
 */
public record Ddim(
        NoiseTable table, Prediction prediction, Limit limit, float lastAlpha, Spacing spacing, int stepsOffset)
        implements Scheduler {
    public static Ddim of(Json j) {
        NoiseTable table = NoiseTable.of(j);
        return new Ddim(
                table,
                Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION),
                Limit.of(j, true),
                j.get("set_alpha_to_one", true) ? 1 : table.alphaCumprod(0),
                Spacing.of(j, Spacing.LEADING),
                j.get("steps_offset", 0));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseTimesteps("DDIM");
        plan.refuseSigmas("DDIM");
        int stride = table.size() / plan.steps();
        StepOptions options = plan.options();
        return new Run(spacing.whole(table.size(), plan.steps(), stepsOffset), plan.begin()) {
            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                int t = (int) timestep(index());
                return Ddim.this.step(output, sample, t, t - stride, options, noise);
            }

            @Override
            Level level(double timestep) {
                return table.level((int) timestep);
            }
        };
    }

    private Tensor step(Tensor output, Tensor sample, int t, int before, StepOptions options, Noise noise) {
        float acp = table.alphaCumprod(t);
        float acpBefore = before >= 0 ? table.alphaCumprod(before) : lastAlpha;
        Level level = table.level(t);
        Tensor clean = limit.apply(level.clean(prediction, output, sample));
        Tensor predicted =
                options.clippedOutput() ? level.noise(clean, sample) : level.noise(prediction, output, sample);
        float variance = (1 - acpBefore) / (1 - acp) * (1 - acp / acpBefore);
        float fresh = (float) (options.eta() * (float) Math.sqrt(variance));
        float kept = (float) Math.sqrt(1 - acpBefore - fresh * fresh);
        Tensor mean = Weighted.sum((float) Math.sqrt(acpBefore), clean, kept, predicted);
        return options.eta() > 0 ? Weighted.sum(1, mean, fresh, noise.draw(sample.shape())) : mean;
    }
}
