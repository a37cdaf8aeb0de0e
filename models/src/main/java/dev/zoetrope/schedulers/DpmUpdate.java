package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One update of DPM-Solver from a level s to a level t, arXiv:2206.00927 and arXiv:2211.01095. With h = lambda_t - lambda_s
 * and D0, D1, D2 the function that is integrated (predicted x_0 or noise) and estimates of its derivatives,
 * {@code x_t = a x_s + b0 D0 + b1 D1 + b2 D2 (+ n noise)}.
 */
public final class DpmUpdate {
    /** What is integrated, and whether noise is added. */
    public enum Algorithm {
        DPMSOLVER(false, false),
        DPMSOLVER_PLUS(true, false),
        SDE_DPMSOLVER(false, true),
        SDE_DPMSOLVER_PLUS(true, true);

        private final boolean clean;
        private final boolean stochastic;

        Algorithm(boolean clean, boolean stochastic) {
            this.clean = clean;
            this.stochastic = stochastic;
        }

        static Algorithm of(String name) {
            return switch (name) {
                case "dpmsolver" -> DPMSOLVER;
                case "dpmsolver++", "deis" -> DPMSOLVER_PLUS;
                case "sde-dpmsolver" -> SDE_DPMSOLVER;
                case "sde-dpmsolver++" -> SDE_DPMSOLVER_PLUS;
                default ->
                    throw new UserError(
                            "not supported; supported: dpmsolver, dpmsolver++, sde-dpmsolver, sde-dpmsolver++");
            };
        }

        boolean clean() {
            return clean;
        }

        boolean stochastic() {
            return stochastic;
        }

        /** What is integrated, from what the network answered. */
        Tensor integrand(Prediction prediction, Limit limit, Level level, Tensor output, Tensor sample) {
            if (clean) {
                return limit.apply(level.clean(prediction, output, sample));
            }
            return limit.threshold()
                    ? level.noise(limit.apply(level.clean(prediction, output, sample)), sample)
                    : level.noise(prediction, output, sample);
        }
    }

    private final float ofSample;
    private final float zeroth;
    private final float first;
    private final float second;
    private final float ofNoise;

    /** @param exact whether D1 is integrated exactly (Heun), or counts half of D0 (midpoint) */
    DpmUpdate(Algorithm algorithm, boolean exact, Level s, Level t) {
        float h = SolverRun.lambda(t) - SolverRun.lambda(s);
        float alpha = (float) t.alpha();
        float sigma = (float) t.sigma();
        float ofAlpha = alpha / (float) s.alpha();
        float ofSigma = sigma / (float) s.sigma();
        float whole;
        float slope;
        float bend;
        switch (algorithm) {
            case DPMSOLVER_PLUS -> {
                float e = exp(-h) - 1;
                ofSample = ofSigma;
                whole = -alpha * e;
                slope = alpha * (e / h + 1);
                bend = -alpha * ((e + h) / (h * h) - 0.5f);
                ofNoise = 0;
            }
            case DPMSOLVER -> {
                float e = exp(h) - 1;
                ofSample = ofAlpha;
                whole = -sigma * e;
                slope = -sigma * (e / h - 1);
                bend = -sigma * ((e - h) / (h * h) - 0.5f);
                ofNoise = 0;
            }
            case SDE_DPMSOLVER_PLUS -> {
                float e = 1 - exp(-2 * h);
                ofSample = ofSigma * exp(-h);
                whole = alpha * e;
                slope = alpha * (e / (-2 * h) + 1);
                bend = alpha * ((e - 2 * h) / (4 * h * h) - 0.5f);
                ofNoise = sigma * (float) Math.sqrt(e);
            }
            case SDE_DPMSOLVER -> {
                float e = exp(h) - 1;
                ofSample = ofAlpha;
                whole = -2 * sigma * e;
                slope = -2 * sigma * (e / h - 1);
                bend = Float.NaN; // of third order there is none
                ofNoise = sigma * (float) Math.sqrt(exp(2 * h) - 1);
            }
            default -> throw new IllegalStateException();
        }
        zeroth = whole;
        first = exact ? slope : 0.5f * whole;
        second = bend;
    }

    private static float exp(float x) {
        return (float) Math.exp(x);
    }

    /**
     * @param derivatives estimates of D1, D2, as many as the order has
     * @param noise null where the algorithm adds none
     */
    Tensor apply(Tensor sample, Tensor d0, List<Tensor> derivatives, @Nullable Tensor noise) {
        List<Tensor> terms = new ArrayList<>(List.of(sample, d0));
        terms.addAll(derivatives);
        double[] factors = new double[terms.size() + 1];
        factors[0] = ofSample;
        factors[1] = zeroth;
        if (derivatives.size() > 0) {
            factors[2] = first;
        }
        if (derivatives.size() > 1) {
            factors[3] = second;
        }
        factors[terms.size()] = noise == null ? 0 : ofNoise;
        terms.add(noise == null ? sample : noise);
        return Weighted.sum(factors, terms.toArray(Tensor[]::new));
    }

    /** (a - b) / r. */
    static Tensor difference(Tensor a, Tensor b, float r) {
        try (Scope s = Scope.open()) {
            return s.keep(a.sub(b).mul((double) (1 / r)));
        }
    }
}
