package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;

/** A linear multistep method over noise levels: the polynomial through the latest derivatives, integrated over the step. */
public record Lms(SigmaLevels levels, Prediction prediction) implements Scheduler {
    /** Gauss-Legendre on -1..1: exact for polynomials up to the fifth degree, where the third is the highest here. */
    private static final double[] NODES = {-Math.sqrt(0.6), 0, Math.sqrt(0.6)};

    private static final double[] NODE_WEIGHTS = {5 / 9.0, 8 / 9.0, 5 / 9.0};

    public static Lms of(Json j) {
        return new Lms(
                SigmaLevels.of(j, NoiseTable.of(j)),
                Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseTimesteps("LMS");
        plan.refuseSigmas("LMS");
        SigmaLevels.Levels l = levels.of(plan);
        int most = plan.options().order();
        return new SigmaRun(l.timesteps(), Sigmas.withLast(l.sigmas(), 0), plan.begin(), levels.startsAtSigma()) {
            private final History derivatives = new History(most);

            @Override
            Tensor next(Tensor output, Tensor sample, Noise noise) {
                float sigma = sigma(index());
                derivatives.add(derivative(sample, clean(prediction, output, sample, sigma), sigma));
                // The reference lets levels count that a run left out at its start.
                int order = Math.min(index() + 1, most);
                int known = derivatives.size();
                double[] factors = new double[known + 1];
                Tensor[] terms = new Tensor[known + 1];
                for (int i = 0; i < known; i++) {
                    factors[i] = integral(i, order);
                    terms[i] = derivatives.get(i);
                }
                factors[known] = 1;
                terms[known] = sample;
                return Weighted.sum(factors, terms);
            }

            /** Over the step, of the polynomial that is 1 at the i-th latest level and 0 at the others that count. */
            private double integral(int i, int order) {
                double from = sigma(index());
                double half = (sigma(index() + 1) - from) / 2;
                double sum = 0;
                for (int n = 0; n < NODES.length; n++) {
                    double at = from + half * (1 + NODES[n]);
                    double product = 1;
                    for (int k = 0; k < order; k++) {
                        if (k != i) {
                            double other = sigma(index() - k);
                            product *= (at - other) / (sigma(index() - i) - other);
                        }
                    }
                    sum += NODE_WEIGHTS[n] * product;
                }
                return sum * half;
            }

            @Override
            public void close() {
                derivatives.close();
            }
        };
    }
}
