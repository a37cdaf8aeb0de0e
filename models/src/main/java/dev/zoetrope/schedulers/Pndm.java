package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * Pseudo numerical methods for diffusion models, arXiv:2202.09778: a linear multistep method of fourth order, begun by
 * three Runge-Kutta steps, or (as Stable Diffusion does) by an Euler step that is then repeated with a mean.
 *
 * @param lastAlpha the cumulative product of alphas that the last step goes to
 * @param skipRungeKutta whether the run begins with the repeated Euler step
 */
public record Pndm(
        NoiseTable table,
        Prediction prediction,
        float lastAlpha,
        boolean skipRungeKutta,
        Spacing spacing,
        int stepsOffset)
        implements Scheduler {
    private static final int RUNGE_KUTTA_STEPS = 3;

    public static Pndm of(Json j) {
        NoiseTable table = NoiseTable.of(j);
        return new Pndm(
                table,
                Prediction.of(j, Prediction.EPSILON, Prediction.V_PREDICTION),
                j.get("set_alpha_to_one", false) ? 1 : table.alphaCumprod(0),
                j.get("skip_prk_steps", false),
                Spacing.of(j, Spacing.LEADING),
                j.get("steps_offset", 0));
    }

    @Override
    public Run start(Plan plan) {
        plan.refuseTimesteps("PNDM");
        plan.refuseSigmas("PNDM");
        double[] t = spacing.whole(table.size(), plan.steps(), stepsOffset);
        int stride = table.size() / plan.steps();
        return skipRungeKutta
                ? new State(repeatedSecond(t), plan.begin(), stride, 0)
                : new State(withRungeKutta(t, stride / 2), plan.begin(), stride, 4 * RUNGE_KUTTA_STEPS);
    }

    /** The second timestep twice. */
    private static double[] repeatedSecond(double... t) {
        if (t.length < 2) {
            return t;
        }
        double[] r = new double[t.length + 1];
        System.arraycopy(t, 0, r, 0, 2);
        System.arraycopy(t, 1, r, 2, t.length - 1);
        return r;
    }

    /** Four calls for each of the first three intervals: at its start, twice in its middle, at its end. */
    private static double[] withRungeKutta(double[] t, int half) {
        if (t.length <= RUNGE_KUTTA_STEPS) {
            throw new UserError("PNDM with Runge-Kutta steps needs at least " + (RUNGE_KUTTA_STEPS + 1) + " steps, not "
                    + t.length + "; set skip_prk_steps for fewer");
        }
        double[] r = new double[4 * RUNGE_KUTTA_STEPS + t.length - RUNGE_KUTTA_STEPS];
        for (int i = 0; i < RUNGE_KUTTA_STEPS; i++) {
            r[4 * i] = t[i];
            r[4 * i + 1] = t[i + 1] + half;
            r[4 * i + 2] = t[i + 1] + half;
            r[4 * i + 3] = t[i + 1];
        }
        System.arraycopy(t, RUNGE_KUTTA_STEPS, r, 4 * RUNGE_KUTTA_STEPS, t.length - RUNGE_KUTTA_STEPS);
        return r;
    }

    private final class State extends Run {
        private final int stride;
        private final int rungeKuttaCalls;
        private final History outputs = new History(4);
        private final History start = new History(1); // the sample that the interval began with
        private final History mean = new History(1); // of the outputs within the interval

        State(double[] timesteps, int begin, int stride, int rungeKuttaCalls) {
            super(timesteps, begin);
            this.stride = stride;
            this.rungeKuttaCalls = rungeKuttaCalls;
        }

        @Override
        Tensor next(Tensor output, Tensor sample, Noise noise) {
            int t = (int) timestep(index());
            return calls() < rungeKuttaCalls ? rungeKutta(output, sample, t) : multistep(output, sample, t);
        }

        private Tensor rungeKutta(Tensor output, Tensor sample, int t) {
            int stage = calls() % 4;
            int from = (int) timestep(index() - stage);
            int to = stage % 2 == 0 ? t - stride / 2 : t;
            if (stage == 0) {
                outputs.add(output);
                start.add(sample);
                mean.add(output.mul(1.0 / 6));
                return Pndm.this.move(start.get(0), output, from, to);
            }
            Tensor sum = Weighted.sum(1, mean.get(0), stage == 3 ? 1.0 / 6 : 1.0 / 3, output);
            mean.add(sum);
            return Pndm.this.move(start.get(0), stage == 3 ? sum : output, from, to);
        }

        private Tensor multistep(Tensor output, Tensor sample, int t) {
            if (rungeKuttaCalls == 0 && calls() == 1) { // again from where the first step began
                return Pndm.this.move(start.get(0), Weighted.sum(0.5, output, 0.5, outputs.get(0)), t + stride, t);
            }
            if (rungeKuttaCalls == 0 && calls() == 0) {
                start.add(sample);
            }
            outputs.add(output);
            double[] factors =
                    switch (outputs.size()) {
                        case 1 -> new double[] {1};
                        case 2 -> new double[] {3 / 2.0, -1 / 2.0};
                        case 3 -> new double[] {23 / 12.0, -16 / 12.0, 5 / 12.0};
                        default -> new double[] {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0};
                    };
            return Pndm.this.move(sample, Weighted.sum(factors, outputs.all()), t, t - stride);
        }

        @Override
        Level level(double timestep) {
            return table.level((int) timestep);
        }

        @Override
        public void close() {
            outputs.close();
            start.close();
            mean.close();
        }
    }

    /** Equation 11 of the paper: along the predicted noise from one timestep to another. */
    private Tensor move(Tensor sample, Tensor output, int from, int to) {
        float acp = table.alphaCumprod(from);
        float acpTo = to >= 0 ? table.alphaCumprod(to) : lastAlpha;
        Tensor predicted = table.level(from).noise(prediction, output, sample);
        float scale = (float) Math.sqrt(acpTo / acp);
        float divisor = acp * (float) Math.sqrt(1 - acpTo) + (float) Math.sqrt(acp * (1 - acp) * acpTo);
        return Weighted.sum(scale, sample, -(acpTo - acp) / divisor, predicted);
    }
}
