package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/**
 * Euler's method over noise levels, with noise added before steps where asked for: algorithm 2 of arXiv:2206.00364.
 *
 * @param continuous whether the network is asked with log(sigma) / 4 instead of a timestep
 * @param endsAtZero whether the last step removes all noise, or stops at the lowest level of training
 */
public record Euler(SigmaLevels levels, Prediction prediction, boolean continuous, boolean endsAtZero)
        implements Scheduler {
    private static final float MOST_CHURN = (float) (Math.sqrt(2) - 1);

    public static Euler of(Json j) {
        NoiseTable table = NoiseTable.of(j);
        Prediction prediction = j.get("prediction_type", "epsilon").equals("original_sample")
                ? Prediction.SAMPLE
                : Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION);
        boolean continuous =
                switch (j.get("timestep_type", "discrete")) {
                    case "discrete" -> false;
                    case "continuous" -> prediction == Prediction.V_PREDICTION;
                    default -> throw j.unsupported("timestep_type", "discrete, continuous");
                };
        return new Euler(
                SigmaLevels.of(j, j.get("rescale_betas_zero_snr", false) ? table.finiteAtTheEnd() : table),
                prediction,
                continuous,
                FinalSigma.of(j) == FinalSigma.ZERO);
    }

    @Override
    public Run start(Plan plan) {
        SigmaLevels.Levels l = levels.of(plan);
        double[] sigmas = !plan.sigmas().isEmpty()
                ? l.sigmas()
                : Sigmas.withLast(l.sigmas(), endsAtZero ? 0 : levels.table().sigma(0));
        double[] timesteps = l.timesteps();
        if (continuous) {
            timesteps = new double[sigmas.length - 1];
            for (int i = 0; i < timesteps.length; i++) {
                timesteps[i] = (float) (0.25 * (float) Math.log(sigmas[i]));
            }
        }
        StepOptions o = plan.options();
        return new SigmaRun(timesteps, sigmas, plan.begin(), levels.startsAtSigma()) {
            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                float sigma = sigma(index());
                boolean churned = o.churn() > 0 && sigma >= o.churnFrom() && sigma <= o.churnTo();
                float more = churned ? Math.min((float) (o.churn() / (sigmas.length - 1)), MOST_CHURN) : 0;
                float raised = sigma * (more + 1);
                Tensor x = sample;
                if (more > 0) {
                    double added = o.churnScale() * (float) Math.sqrt(raised * raised - sigma * sigma);
                    x = Weighted.sum(1, sample, added, noise.draw(sample.shape()));
                }
                // The reference takes the level before the churn for v, and the one behind it for epsilon.
                float level = prediction == Prediction.V_PREDICTION ? sigma : raised;
                Tensor slope = derivative(x, clean(prediction, output, x, level), raised);
                return Weighted.sum(1, x, sigma(index() + 1) - raised, slope);
            }
        };
    }
}
