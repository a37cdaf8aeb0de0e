package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/** Euler's method that steps below each next noise level and adds fresh noise up to it. */
public record EulerAncestral(SigmaLevels levels, Prediction prediction) implements Scheduler {
    public static EulerAncestral of(Json j) {
        NoiseTable table = NoiseTable.of(j);
        return new EulerAncestral(
                SigmaLevels.of(j, j.get("rescale_betas_zero_snr", false) ? table.finiteAtTheEnd() : table),
                Prediction.of(j, Prediction.EPSILON, Prediction.V_PREDICTION));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseTimesteps("ancestral Euler");
        plan.refuseSigmas("ancestral Euler");
        SigmaLevels.Levels l = levels.of(plan);
        return new SigmaRun(l.timesteps(), Sigmas.withLast(l.sigmas(), 0), plan.begin(), levels.startsAtSigma()) {
            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                float from = sigma(index());
                float to = sigma(index() + 1);
                float up = (float) Math.sqrt(to * to * (from * from - to * to) / (from * from));
                float down = (float) Math.sqrt(to * to - up * up);
                Tensor slope = derivative(sample, clean(prediction, output, sample, from), from);
                // Drawn in the last step too, where it counts for nothing: a seed must mean the same here.
                Tensor drawn = noise.draw(sample.shape());
                return Weighted.sum(1, sample, down - from, slope, up, drawn);
            }
        };
    }
}
