package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;

/** Which of the timesteps of training a run visits, arXiv:2305.08891, table 2. */
public enum Spacing {
    /** Evenly from the first to the last. */
    LINSPACE,
    /** Multiples of a whole stride, from 0 up. */
    LEADING,
    /** From the last down, rounded. */
    TRAILING;

    static Spacing of(Json j, Spacing absent) {
        return j.get("timestep_spacing", absent);
    }

    /** Whole timesteps, highest first. */
    double[] whole(int training, int steps, int offset) {
        checkSteps(training, steps);
        double[] r = fractional(training, steps, offset);
        for (int i = 0; i < r.length; i++) {
            r[i] = Math.rint(r[i]);
        }
        return r;
    }

    /** Timesteps, highest first; with LINSPACE they may lie between whole ones. */
    double[] fractional(int training, int steps, int offset) {
        return switch (this) {
            case LINSPACE -> reversed(linspace(0, training - 1.0, steps));
            case LEADING -> leading(training / steps, steps, offset);
            case TRAILING -> trailing(training, training, steps);
        };
    }

    /**
     * Of solvers for which the last timestep is one more place that is never asked: whole, highest first.
     *
     * @param last timesteps below this are visited
     */
    double[] solver(int training, int last, int steps, int offset) {
        checkSteps(training, steps);
        double[] r =
                switch (this) {
                    case LINSPACE -> dropLast(reversed(linspace(0, last - 1.0, steps + 1)));
                    case LEADING -> dropLast(leading(last / (steps + 1), steps + 1, offset));
                    case TRAILING -> trailing(training, last, steps);
                };
        for (int i = 0; i < r.length; i++) {
            r[i] = Math.rint(r[i]);
        }
        return r;
    }

    private static void checkSteps(int training, int steps) {
        if (steps > training) {
            throw new UserError("steps " + steps + " is more than the " + training
                    + " timesteps that the network was trained with");
        }
    }

    private static double[] leading(int stride, int steps, int offset) {
        double[] r = new double[steps];
        for (int i = 0; i < steps; i++) {
            r[i] = (double) (steps - 1 - i) * stride + offset;
        }
        return r;
    }

    private static double[] trailing(int training, int last, int steps) {
        double stride = (double) training / steps;
        double[] r = new double[(int) Math.ceil(last / stride)];
        for (int i = 0; i < r.length; i++) {
            r[i] = Math.rint(last - i * stride) - 1;
        }
        return r;
    }

    /** n numbers from start to end, both included; one alone is the start. */
    static double[] linspace(double start, double end, int n) {
        double[] r = new double[n];
        double stride = n > 1 ? (end - start) / (n - 1) : 0;
        for (int i = 0; i < n; i++) {
            r[i] = i * stride + start;
        }
        if (n > 1) {
            r[n - 1] = end;
        }
        return r;
    }

    static double[] reversed(double... values) {
        double[] r = new double[values.length];
        for (int i = 0; i < r.length; i++) {
            r[i] = values[values.length - 1 - i];
        }
        return r;
    }

    private static double[] dropLast(double... values) {
        return java.util.Arrays.copyOf(values, values.length - 1);
    }
}
