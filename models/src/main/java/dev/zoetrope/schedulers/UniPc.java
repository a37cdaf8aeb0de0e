package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The unified predictor-corrector UniPC, arXiv:2302.04867: each new prediction first corrects the sample that it was made
 * for, then predicts the next.
 *
 * @param order of the predictor, 1 to 3; the corrector's is one more
 * @param predictsClean whether x_0 is integrated, else the noise
 * @param expB whether B(h) is e^h - 1 ("bh2"), else h ("bh1")
 * @param lowerOrderFinal whether a run ends in lower orders
 * @param uncorrected steps whose result is not corrected
 * @param terminal the level of flow matching that the last step starts from; null where it follows from the rest
 * @param linearShift whether mu itself is the shift of flow matching, else e^mu
 */
public record UniPc(
        SolverLevels levels,
        Prediction prediction,
        Limit limit,
        int order,
        boolean predictsClean,
        boolean expB,
        boolean lowerOrderFinal,
        List<Integer> uncorrected,
        @Nullable Double terminal,
        boolean linearShift)
        implements Scheduler {
    /** Keeps alpha = 1 - sigma of the first step above 0, so that its logarithm is finite. */
    private static final double BELOW_ONE = 1e-6;

    public UniPc {
        Check.between(1, 4, order, "solver_order");
        uncorrected = List.copyOf(uncorrected);
        if (terminal != null && !levels.flow()) {
            throw new UserError("shift_terminal needs use_flow_sigmas");
        }
        if (!predictsClean && prediction == Prediction.FLOW_PREDICTION) {
            throw new UserError("prediction_type flow_prediction needs predict_x0");
        }
    }

    public static UniPc of(Json j) {
        if (j.has("solver_p")) {
            throw j.unsupported("solver_p", "null");
        }
        boolean linear =
                switch (j.get("time_shift_type", "exponential")) {
                    case "exponential" -> false;
                    case "linear" -> true;
                    default -> throw j.unsupported("time_shift_type", "exponential, linear");
                };
        return new UniPc(
                SolverLevels.of(j),
                Prediction.of(j),
                Limit.of(j, false),
                j.get("solver_order", 2),
                j.get("predict_x0", true),
                switch (j.get("solver_type", "bh2")) {
                    case "bh1" -> false;
                    case "bh2", "midpoint", "heun", "logrho" -> true; // the last three of other solvers' configurations
                    default -> throw j.unsupported("solver_type", "bh1, bh2");
                },
                j.get("lower_order_final", true),
                Arrays.stream(j.get("disable_corrector", new int[0])).boxed().toList(),
                j.has("shift_terminal") ? Double.valueOf(j.get("shift_terminal", 0.0)) : null,
                linear);
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseTimesteps("UniPC");
        if (!levels.flow()) {
            plan.refuseSigmas("UniPC without use_flow_sigmas");
        }
        return new State(levels(plan), plan.begin());
    }

    private SolverLevels.Levels levels(Plan plan) {
        Sigmas all = new Sigmas(levels.table());
        int training = levels.table().size();
        double[] timesteps;
        double[] sigmas;
        double last = levels.table().sigma(0);
        if (levels.curve() != Curve.NONE) {
            sigmas = levels.curved(all, plan.steps());
            if (levels.flow() && levels.curve() == Curve.KARRAS) {
                sigmas = Arrays.stream(sigmas).map(s -> s / (s + 1)).toArray();
                timesteps = Arrays.stream(sigmas).map(s -> s * training).toArray();
            } else {
                timesteps = all.timesteps(sigmas);
                if (levels.curve() == Curve.KARRAS) {
                    timesteps = Arrays.stream(timesteps).map(Math::rint).toArray();
                }
            }
            last = sigmas[sigmas.length - 1];
        } else if (levels.flow()) {
            sigmas = flow(plan, training);
            timesteps = Arrays.stream(sigmas).map(s -> s * training).toArray();
            last = sigmas[sigmas.length - 1];
        } else {
            timesteps = levels.spacing().solver(training, training, plan.steps(), levels.stepsOffset());
            sigmas = all.at(timesteps);
        }
        return new SolverLevels.Levels(
                Sigmas.truncated(timesteps), Sigmas.withLast(sigmas, levels.last() == FinalSigma.ZERO ? 0 : last));
    }

    private double[] flow(Plan plan, int training) {
        double[] s = plan.sigmas().isEmpty()
                ? Arrays.copyOf(Spacing.linspace(1, 1.0 / training, plan.steps() + 1), plan.steps())
                : Plan.array(plan.sigmas());
        double shift = levels.dynamicShift() && linearShift && plan.mu() != null ? plan.mu() : levels.shift(plan);
        s = Arrays.stream(s).map(x -> shift * x / (1 + (shift - 1) * x)).toArray();
        if (terminal != null) {
            FlowMatchEuler.stretch(s, terminal);
        }
        if (Math.abs(s[0] - 1) < BELOW_ONE) {
            s[0] -= BELOW_ONE;
        }
        return s;
    }

    private final class State extends SolverRun {
        private final History integrands = new History(order);
        private final History corrected = new History(1); // the sample that the latest step started from
        private int orderBefore;

        State(SolverLevels.Levels levels, int begin) {
            super(UniPc.this.levels, levels, begin);
        }

        @Override
        Tensor next(Tensor output, Tensor sample, Noise noise) {
            Tensor m = integrand(output, sample);
            Tensor x = sample;
            if (corrected.size() > 0 && !uncorrected.contains(index() - 1)) {
                x = update(index() - 1, corrected.get(0), orderBefore, m);
            }
            integrands.add(m);
            corrected.add(x);
            orderBefore = Math.min(integrands.size(), lowerOrderFinal ? Math.min(order, count() - index()) : order);
            return update(index(), x, orderBefore, null);
        }

        private Tensor integrand(Tensor output, Tensor sample) {
            Level level = level(index());
            return predictsClean
                    ? limit.apply(level.clean(prediction, output, sample))
                    : level.noise(prediction, output, sample);
        }

        /**
         * From the level of a call to the next, by the latest integrands; as corrector if what was predicted there is
         * known.
         */
        private Tensor update(int call, Tensor x, int p, @Nullable Tensor there) {
            Level s = level(call);
            Level t = level(call + 1);
            float h = lambda(t) - lambda(s);
            float hh = predictsClean ? -h : h;
            float[] ratios = new float[p];
            Tensor[] differences = new Tensor[p];
            for (int i = 1; i < p; i++) {
                ratios[i - 1] = (lambda(level(call - i)) - lambda(s)) / h;
                differences[i - 1] = DpmUpdate.difference(integrands.get(i), integrands.get(0), ratios[i - 1]);
            }
            ratios[p - 1] = 1;
            differences[p - 1] = there == null ? null : DpmUpdate.difference(there, integrands.get(0), 1);
            int known = there == null ? p - 1 : p;
            double[] rho = weights(ratios, hh, known, there != null);
            float base = (float) Math.expm1(hh);
            float scale = (float) (predictsClean ? t.alpha() : t.sigma());
            double[] factors = new double[known + 2];
            Tensor[] terms = new Tensor[known + 2];
            factors[0] = predictsClean ? (float) t.sigma() / (float) s.sigma() : (float) t.alpha() / (float) s.alpha();
            terms[0] = x;
            factors[1] = -scale * base;
            terms[1] = integrands.get(0);
            float b = expB ? base : hh;
            for (int i = 0; i < known; i++) {
                factors[i + 2] = -scale * b * (float) rho[i];
                terms[i + 2] = differences[i];
            }
            try (Scope scope = Scope.open()) {
                return scope.keep(Weighted.sum(factors, terms));
            }
        }

        /** Of the differences: such that the polynomials up to their number are integrated exactly. */
        private double[] weights(float[] ratios, float hh, int known, boolean corrects) {
            if (known == 1 && (corrects ? ratios.length == 1 : ratios.length == 2)) {
                return new double[] {0.5}; // as the paper advises for the lowest order
            }
            double[][] powers = new double[known][known];
            double[] integrals = new double[known];
            float b = expB ? (float) Math.expm1(hh) : hh;
            float phi = (float) Math.expm1(hh) / hh - 1;
            float factorial = 1;
            for (int i = 0; i < known; i++) {
                for (int k = 0; k < known; k++) {
                    powers[i][k] = Math.pow(ratios[k], i);
                }
                integrals[i] = phi * factorial / b;
                factorial *= i + 2;
                phi = phi / hh - 1 / factorial;
            }
            return solve(powers, integrals);
        }

        @Override
        public void close() {
            integrands.close();
            corrected.close();
        }
    }

    /** By Gauss with pivots; both arguments are used up. */
    private static double[] solve(double[][] a, double[] b) {
        int n = b.length;
        for (int c = 0; c < n; c++) {
            int pivot = c;
            for (int r = c + 1; r < n; r++) {
                pivot = Math.abs(a[r][c]) > Math.abs(a[pivot][c]) ? r : pivot;
            }
            double[] row = a[pivot];
            a[pivot] = a[c];
            a[c] = row;
            double value = b[pivot];
            b[pivot] = b[c];
            b[c] = value;
            for (int r = 0; r < n; r++) {
                if (r != c) {
                    double f = a[r][c] / row[c];
                    for (int k = c; k < n; k++) {
                        a[r][k] -= f * row[k];
                    }
                    b[r] -= f * value;
                }
            }
        }
        for (int i = 0; i < n; i++) {
            b[i] /= a[i][i];
        }
        return b;
    }
}
