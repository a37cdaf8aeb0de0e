package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.List;

/**
 * DPM-Solver and DPM-Solver++ as singlestep methods, arXiv:2206.00927 and arXiv:2211.01095: the calls come in groups, and
 * each call of a group starts from the group's first sample again, with one order more.
 *
 * @param order 1 to 3, the calls in a group
 * @param exact whether the second order integrates its derivative exactly ("heun") or by the midpoint
 * @param lowerOrderFinal whether the run ends in a group of lower order where the steps do not divide evenly
 */
public record DpmSolverSinglestep(
        SolverLevels levels,
        Prediction prediction,
        Limit limit,
        DpmUpdate.Algorithm algorithm,
        int order,
        boolean exact,
        boolean lowerOrderFinal,
        double lowestLambda)
        implements Scheduler {
    public DpmSolverSinglestep {
        Check.between(1, 3, order, "solver_order");
        Check.oneOf(
                algorithm,
                "algorithm_type",
                DpmUpdate.Algorithm.DPMSOLVER,
                DpmUpdate.Algorithm.DPMSOLVER_PLUS,
                DpmUpdate.Algorithm.SDE_DPMSOLVER_PLUS);
        if (!algorithm.clean() && levels.last() == FinalSigma.ZERO) {
            throw new UserError("algorithm_type dpmsolver needs final_sigmas_type \"sigma_min\"");
        }
    }

    public static DpmSolverSinglestep of(Json j) {
        j.expect("time_shift_type", "exponential");
        return new DpmSolverSinglestep(
                SolverLevels.of(j),
                Prediction.of(j),
                Limit.of(j, false),
                j.get("algorithm_type", DpmUpdate.Algorithm.DPMSOLVER_PLUS, DpmUpdate.Algorithm::of),
                j.get("solver_order", 2),
                DpmSolver.exact(j),
                j.get("lower_order_final", false),
                j.get("lambda_min_clipped", Double.NEGATIVE_INFINITY));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseSigmas("DPM-Solver");
        NoiseTable table = levels.table();
        double[] whole = plan.timesteps().isEmpty()
                ? Spacing.LINSPACE.solver(
                        table.size(), table.size() - DpmSolver.clipped(table, lowestLambda), plan.steps(), 0)
                : Plan.array(plan.timesteps());
        return new State(DpmSolver.levels(levels, plan, whole, true), plan.begin());
    }

    /** Of each call: 1 2 3 1 2 3 .., and towards the end what is left. */
    private int[] orders(int steps) {
        int[] r = new int[steps];
        for (int i = 0; i < steps; i++) {
            r[i] = i % order + 1;
        }
        if (levels.last() == FinalSigma.ZERO || (lowerOrderFinal && steps % order == 0)) { // the last group splits
            r[steps - 1] = 1;
        }
        return r;
    }

    private final class State extends SolverRun {
        private final int[] orders = orders(count());
        private final History integrands = new History(order);
        private final History start = new History(1);

        State(SolverLevels.Levels levels, int begin) {
            super(DpmSolverSinglestep.this.levels, levels, begin);
        }

        @Override
        Tensor next(Tensor output, Tensor sample, Noise noise) {
            Tensor answer = output.size(1) == sample.size(1) ? output : output.narrow(1, 0, sample.size(1));
            integrands.add(algorithm.integrand(prediction, limit, level(index()), answer, sample));
            Tensor drawn = algorithm.stochastic() ? noise.draw(sample.shape()) : null;
            int now = Math.min(orders[index()], integrands.size());
            if (now == 1) {
                start.add(sample);
            }
            Level t = level(index() + 1);
            Level s = level(index() - now + 1); // where the group began
            DpmUpdate update = new DpmUpdate(algorithm, exact || now == 3, s, t);
            Tensor first = integrands.get(now - 1);
            if (now == 1) {
                return update.apply(start.get(0), first, List.of(), drawn);
            }
            float h = lambda(t) - lambda(s);
            float r0 = (lambda(level(index())) - lambda(s)) / h;
            Tensor d = DpmUpdate.difference(integrands.get(0), first, r0);
            if (now == 2 || !exact) {
                return update.apply(start.get(0), first, List.of(d), drawn);
            }
            float r1 = (lambda(level(index() - 1)) - lambda(s)) / h;
            Tensor between = DpmUpdate.difference(integrands.get(1), first, r1);
            Tensor d1 = Weighted.sum(r0 / (r0 - r1), between, -r1 / (r0 - r1), d);
            Tensor d2 = Weighted.sum(2 / (r0 - r1), d, -2 / (r0 - r1), between);
            return update.apply(start.get(0), first, List.of(d1, d2), drawn);
        }

        @Override
        public void close() {
            integrands.close();
            start.close();
        }
    }
}
