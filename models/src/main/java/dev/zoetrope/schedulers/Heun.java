package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/**
 * Heun's method over noise levels, arXiv:2206.00364: each step is done again with the mean of the slopes at both its ends.
 * The network is called twice a step, once in the last.
 */
public record Heun(SigmaLevels levels, Prediction prediction, Limit limit) implements Scheduler {
    public static Heun of(Json j) {
        return new Heun(
                SigmaLevels.of(j, NoiseTable.of(j, 0.00085, 0.012, NoiseTable.Betas.LINEAR)),
                Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION),
                Limit.of(j, false));
    }

    @Override
    public int callsPerStep() {
        return 2;
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseSigmas("Heun");
        SigmaLevels.Levels l = levels.of(plan);
        double[] sigmas = Sigmas.withLast(l.sigmas(), 0);
        int steps = l.timesteps().length;
        double[] calls = new double[2 * steps - 1];
        double[] twice = new double[2 * steps];
        for (int i = 0; i < twice.length; i++) {
            twice[i] = sigmas[(i + 1) / 2];
            if (i < calls.length) {
                calls[i] = l.timesteps()[(i + 1) / 2];
            }
        }
        return new SigmaRun(calls, twice, plan.begin(), levels.startsAtSigma()) {
            private final History begun = new History(2); // the slope and sample of a step that is half done

            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                float sigma = sigma(index());
                Tensor slope = derivative(sample, limit.apply(clean(prediction, output, sample, sigma)), sigma);
                if (begun.size() == 0) {
                    if (index() + 1 < count()) {
                        begun.add(sample);
                        begun.add(slope);
                    }
                    return Weighted.sum(1, sample, sigma(index() + 1) - sigma, slope);
                }
                Tensor mean = Weighted.sum(0.5, begun.get(0), 0.5, slope);
                Tensor corrected = Weighted.sum(1, begun.get(1), sigma - sigma(index() - 1), mean);
                begun.clear();
                return corrected;
            }

            @Override
            public void close() {
                begun.close();
            }
        };
    }
}
