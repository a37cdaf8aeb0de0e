package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * Few steps with a latent consistency model, arXiv:2310.04378: each jumps to the predicted end, and all but the last noise
 * it again.
 *
 * @param originalSteps of the solver that the network was distilled from; a run visits some of its timesteps
 * @param timestepScaling how soon the boundary condition gives way to the network
 */
public record Lcm(NoiseTable table, Prediction prediction, Limit limit, int originalSteps, double timestepScaling)
        implements Scheduler {
    private static final double SIGMA_DATA = 0.5;

    public static Lcm of(Json j) {
        return new Lcm(
                NoiseTable.of(j, 0.00085, 0.012, NoiseTable.Betas.SCALED_LINEAR),
                Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION),
                Limit.of(j, false),
                j.get("original_inference_steps", 50),
                j.get("timestep_scaling", 10.0));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseSigmas("LCM");
        double[] t = plan.timesteps().isEmpty() ? picked(plan.steps()) : Plan.array(plan.timesteps());
        return new Run(t, plan.begin()) {
            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                double now = timestep(index());
                Tensor clean = limit.apply(table.level((int) now).clean(prediction, output, sample));
                double scaled = now * timestepScaling;
                double square = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
                Tensor denoised =
                        Weighted.sum(scaled / Math.sqrt(square), clean, SIGMA_DATA * SIGMA_DATA / square, sample);
                if (index() == count() - 1) {
                    return denoised;
                }
                Level after = table.level((int) timestep(index() + 1));
                return Weighted.sum(after.alpha(), denoised, after.sigma(), noise.draw(sample.shape()));
            }

            @Override
            Level level(double timestep) {
                return table.level((int) timestep);
            }
        };
    }

    /** Evenly from the timesteps of distillation, highest first. */
    private double[] picked(int steps) {
        if (steps > originalSteps) {
            throw new UserError("steps " + steps + " is more than the original_inference_steps " + originalSteps
                    + " that the network was distilled from");
        }
        int stride = table.size() / originalSteps;
        double[] r = new double[steps];
        for (int i = 0; i < steps; i++) {
            int place = (int) Math.floor(i * ((double) originalSteps / steps));
            r[i] = (double) (originalSteps - place) * stride - 1;
        }
        return r;
    }
}
