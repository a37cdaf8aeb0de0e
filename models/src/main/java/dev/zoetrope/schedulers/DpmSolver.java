package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * DPM-Solver and DPM-Solver++ as multistep methods, arXiv:2206.00927 and arXiv:2211.01095: derivatives come from the
 * predictions of the steps before.
 *
 * @param order 1 to 3
 * @param exact whether the second order integrates its derivative exactly ("heun") or by the midpoint
 * @param lowerOrderFinal whether short runs end in lower orders
 * @param eulerAtFinal whether every run ends in the first order
 */
public record DpmSolver(
        SolverLevels levels,
        Prediction prediction,
        Limit limit,
        DpmUpdate.Algorithm algorithm,
        int order,
        boolean exact,
        boolean lowerOrderFinal,
        boolean eulerAtFinal,
        double lowestLambda)
        implements Scheduler {
    /** Runs with fewer steps end in lower orders. */
    private static final int SHORT = 15;

    public DpmSolver {
        Check.between(1, 3, order, "solver_order");
        if (!algorithm.clean() && levels.last() == FinalSigma.ZERO) {
            throw new UserError("algorithm_type dpmsolver and sde-dpmsolver need final_sigmas_type \"sigma_min\"");
        }
        if (algorithm == DpmUpdate.Algorithm.SDE_DPMSOLVER && order == 3) {
            throw new UserError("algorithm_type sde-dpmsolver has no solver_order 3; supported: 1, 2");
        }
        if (!algorithm.clean() && prediction == Prediction.FLOW_PREDICTION) {
            throw new UserError("prediction_type flow_prediction needs algorithm_type dpmsolver++ or sde-dpmsolver++");
        }
    }

    public static DpmSolver of(Json j) {
        j.expect("time_shift_type", "exponential");
        return new DpmSolver(
                SolverLevels.of(j),
                Prediction.of(j),
                Limit.of(j, false),
                j.get("algorithm_type", DpmUpdate.Algorithm.DPMSOLVER_PLUS, DpmUpdate.Algorithm::of),
                j.get("solver_order", 2),
                exact(j),
                j.get("lower_order_final", true),
                j.get("euler_at_final", false),
                j.get("lambda_min_clipped", Double.NEGATIVE_INFINITY));
    }

    static boolean exact(Json j) {
        return switch (j.get("solver_type", "midpoint")) {
            case "midpoint", "logrho", "bh1", "bh2" -> false; // the last three of other solvers' configurations
            case "heun" -> true;
            default -> throw j.unsupported("solver_type", "midpoint, heun");
        };
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseSigmas("DPM-Solver");
        return new State(levels(plan), plan.begin());
    }

    private SolverLevels.Levels levels(Plan plan) {
        NoiseTable table = levels.table();
        double[] whole = plan.timesteps().isEmpty()
                ? levels.spacing()
                        .solver(
                                table.size(),
                                table.size() - clipped(table, lowestLambda),
                                plan.steps(),
                                levels.stepsOffset())
                : Plan.array(plan.timesteps());
        return levels(levels, plan, whole, levels.wholeCurve());
    }

    /** How many of the noisiest timesteps lie below a least lambda. */
    static int clipped(NoiseTable table, double lowestLambda) {
        int n = 0;
        while (n < table.size() && SolverRun.lambda(table.level(table.size() - 1 - n)) < lowestLambda) {
            n++;
        }
        return n;
    }

    static SolverLevels.Levels levels(SolverLevels levels, Plan plan, double[] whole, boolean roundedKarras) {
        Sigmas all = new Sigmas(levels.table());
        double[] timesteps = whole;
        double[] sigmas;
        if (levels.curve() != Curve.NONE) {
            sigmas = levels.curved(all, plan.steps());
            timesteps = all.timesteps(sigmas);
            if (levels.curve() == Curve.KARRAS && roundedKarras) {
                timesteps = rint(timesteps);
            }
        } else if (levels.lu()) {
            sigmas = exp(Spacing.linspace(all.logHighest(), all.logLowest(), plan.steps()));
            timesteps = roundedKarras ? rint(all.timesteps(sigmas)) : all.timesteps(sigmas);
        } else if (levels.flow()) {
            sigmas = flow(levels.table().size(), plan.steps(), levels.shift(plan));
            timesteps = new double[sigmas.length];
            for (int i = 0; i < sigmas.length; i++) {
                timesteps[i] = sigmas[i] * levels.table().size();
            }
        } else {
            sigmas = all.at(timesteps);
        }
        double last = levels.last() == FinalSigma.ZERO ? 0 : levels.table().sigma(0);
        return new SolverLevels.Levels(Sigmas.truncated(timesteps), Sigmas.withLast(sigmas, last));
    }

    /** Evenly below the highest level of training, shifted. */
    private static double[] flow(int training, int steps, double shift) {
        double[] falling = Spacing.linspace(1, 1.0 / training, steps + 1);
        double[] r = new double[steps];
        for (int i = 0; i < steps; i++) {
            double sigma = 1 - falling[steps - i];
            r[i] = shift * sigma / (1 + (shift - 1) * sigma);
        }
        return r;
    }

    private static double[] rint(double... values) {
        return java.util.Arrays.stream(values).map(Math::rint).toArray();
    }

    private static double[] exp(double... values) {
        return java.util.Arrays.stream(values).map(Math::exp).toArray();
    }

    private final class State extends SolverRun {
        private final History integrands = new History(order);

        State(SolverLevels.Levels levels, int begin) {
            super(DpmSolver.this.levels, levels, begin);
        }

        @Override
        Tensor next(Tensor output, Tensor sample, Noise noise) {
            Level s = level(index());
            Tensor answer = output.size(1) == sample.size(1) ? output : output.narrow(1, 0, sample.size(1));
            integrands.add(algorithm.integrand(prediction, limit, s, answer, sample));
            Tensor drawn = algorithm.stochastic() ? noise.draw(sample.shape()) : null;
            return update(sample, s, drawn);
        }

        private Tensor update(Tensor sample, Level s, @Nullable Tensor drawn) {
            DpmUpdate update = new DpmUpdate(algorithm, exact || orderNow() == 3, s, level(index() + 1));
            Tensor m0 = integrands.get(0);
            if (orderNow() == 1) {
                return update.apply(sample, m0, List.of(), drawn);
            }
            float h = lambda(level(index() + 1)) - lambda(s);
            float r0 = (lambda(s) - lambda(level(index() - 1))) / h;
            Tensor d = DpmUpdate.difference(m0, integrands.get(1), r0);
            if (orderNow() == 2) {
                return update.apply(sample, m0, List.of(d), drawn);
            }
            float r1 = (lambda(level(index() - 1)) - lambda(level(index() - 2))) / h;
            Tensor before = DpmUpdate.difference(integrands.get(1), integrands.get(2), r1);
            Tensor bend = d.sub(before);
            Tensor d1 = Weighted.sum(1, d, r0 / (r0 + r1), bend);
            Tensor d2 = bend.mul((double) (1 / (r0 + r1)));
            return update.apply(sample, m0, List.of(d1, d2), drawn);
        }

        /** As many predictions as there are, and fewer towards the end of a run. */
        private int orderNow() {
            int left = count() - index();
            boolean shortRun = lowerOrderFinal && count() < SHORT;
            if (left == 1 && (eulerAtFinal || shortRun || levels.last() == FinalSigma.ZERO)) {
                return 1;
            }
            return Math.min(integrands.size(), left == 2 && shortRun ? Math.min(order, 2) : order);
        }

        @Override
        public void close() {
            integrands.close();
        }
    }
}
