package dev.zoetrope.training;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.UserError;

/**
 * The learning rate of each optimiser step, counted from 0: linear from 0 during the first {@code warmup} steps (so that
 * step 0 moves nothing), then the shape over the rest of {@code total}.
 *
 * @param rate the highest rate
 * @param total steps of the whole run; of no meaning for {@link Shape#CONSTANT}
 * @param cycles periods of {@link Shape#COSINE_WITH_RESTARTS}; half periods of {@link Shape#COSINE} are 0.5
 * @param power exponent of {@link Shape#POLYNOMIAL}
 * @param end rate after {@link Shape#POLYNOMIAL}
 */
public record Schedule(Shape shape, double rate, long warmup, long total, double cycles, double power, double end) {
    /** How the rate goes after the warm-up. */
    public enum Shape {
        CONSTANT,
        LINEAR,
        COSINE,
        COSINE_WITH_RESTARTS,
        POLYNOMIAL;

        /** {@code constant}, {@code constant_with_warmup}, {@code linear}, {@code cosine} ... */
        public static Shape of(String name) {
            return switch (name) {
                case "constant", "constant_with_warmup" -> CONSTANT;
                case "linear" -> LINEAR;
                case "cosine" -> COSINE;
                case "cosine_with_restarts" -> COSINE_WITH_RESTARTS;
                case "polynomial" -> POLYNOMIAL;
                default ->
                    throw new UserError("schedule '" + name + "' is not supported; supported: constant, "
                            + "constant_with_warmup, linear, cosine, cosine_with_restarts, polynomial");
            };
        }
    }

    public Schedule {
        Check.between(0, Double.MAX_VALUE, rate, "lr");
        Check.between(0, Double.MAX_VALUE, warmup, "warmup");
        if (shape != Shape.CONSTANT) {
            Check.atMost(total, warmup, "total", "warmup");
        }
    }

    public static Schedule constant(double rate, long warmup) {
        return new Schedule(Shape.CONSTANT, rate, warmup, 0, 0, 0, 0);
    }

    /** Down to 0 at {@code total}. */
    public static Schedule linear(double rate, long warmup, long total) {
        return new Schedule(Shape.LINEAR, rate, warmup, total, 0, 0, 0);
    }

    /** Half a cosine, down to 0 at {@code total}. */
    public static Schedule cosine(double rate, long warmup, long total) {
        return new Schedule(Shape.COSINE, rate, warmup, total, 0.5, 0, 0);
    }

    public static Schedule cosineWithRestarts(double rate, long warmup, long total, int cycles) {
        return new Schedule(Shape.COSINE_WITH_RESTARTS, rate, warmup, total, cycles, 0, 0);
    }

    public static Schedule polynomial(double rate, long warmup, long total, double power, double end) {
        return new Schedule(Shape.POLYNOMIAL, rate, warmup, total, 0, power, end);
    }

    /** The rate that step 0, 1, 2 ... uses. */
    public double at(long step) {
        if (step < warmup) {
            return rate * step / warmup;
        }
        double progress = (step - warmup) / (double) Math.max(1, total - warmup);
        return switch (shape) {
            case CONSTANT -> rate;
            case LINEAR -> rate * Math.max(0, 1 - progress);
            case COSINE -> rate * Math.max(0, (1 + Math.cos(2 * Math.PI * cycles * progress)) / 2);
            case COSINE_WITH_RESTARTS ->
                progress >= 1 ? 0 : rate * Math.max(0, (1 + Math.cos(Math.PI * (cycles * progress % 1))) / 2);
            case POLYNOMIAL -> progress > 1 ? end : (rate - end) * Math.pow(1 - progress, power) + end;
        };
    }
}
