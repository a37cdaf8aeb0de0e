package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;

/**
 * How a weight is drawn when there is no file to read it from. The formulas and the order of random numbers are those
 * of {@code torch.nn.init}: the same seed gives the same float32 numbers, bit by bit.
 *
 * <p>Fans follow PyTorch: of a weight {@code [out, in, k...]}, fan in is {@code in * k...} and fan out {@code out *
 * k...}.
 */
@FunctionalInterface
public interface Init {
    /** A float32 tensor of the shape, owned by the innermost scope. */
    Tensor draw(RandomSource random, long... shape);

    static Init zeros() {
        return constant(0);
    }

    static Init ones() {
        return constant(1);
    }

    static Init constant(double value) {
        return (random, shape) -> Tensor.full(value, shape);
    }

    /** Given values, for example a table of sines; copied, so that training does not change the original. */
    static Init of(Tensor values) {
        return (random, shape) -> values.to(DType.FLOAT32).copy().reshape(shape);
    }

    /** Normal with mean 0. */
    static Init normal(double std) {
        return (random, shape) -> {
            // Below 16 elements PyTorch scales in double before it rounds to float32, from there on in float32.
            if (numel(shape) < 16) {
                return random.normal(DType.FLOAT64, shape).mul(std).to(DType.FLOAT32);
            }
            return random.normal(shape).mulInPlace(std);
        };
    }

    /** Uniform in [-bound, bound). */
    static Init uniform(double bound) {
        return uniform(-bound, bound);
    }

    /** Uniform in [low, high). */
    static Init uniform(double low, double high) {
        return (random, shape) -> random.uniformBetween(low, high, shape);
    }

    /**
     * Normal with mean 0; what leaves [low, high] is drawn again, until all is inside. As PyTorch 2.15 draws it;
     * releases before it went through the inverse error function.
     */
    static Init truncatedNormal(double std, double low, double high) {
        if (!(low < high && high >= 0.4 * std && low <= -0.4 * std)) {
            throw new IllegalArgumentException("too little of a normal distribution with deviation " + std
                    + " lies between " + low + " and " + high);
        }
        return (random, shape) -> {
            try (Scope s = Scope.open()) {
                Tensor r = normal(std).draw(random, shape);
                for (Tensor out = outside(r, low, high); out.any(); out = outside(r, low, high)) {
                    r = Tensor.where(out, normal(std).draw(random, shape), r);
                }
                return s.keep(r);
            }
        };
    }

    /** Truncated at -2 and 2, PyTorch's default: for the usual deviations nothing is cut. */
    static Init truncatedNormal(double std) {
        return truncatedNormal(std, -2, 2);
    }

    /** Glorot's uniform initialisation, bound {@code gain * sqrt(6 / (fan in + fan out))}. */
    static Init xavierUniform(double gain) {
        return (random, shape) ->
                uniform(gain * Math.sqrt(6.0 / (fanIn(shape) + fanOut(shape)))).draw(random, shape);
    }

    /** Glorot's uniform initialisation with gain 1. */
    static Init xavier() {
        return xavierUniform(1);
    }

    /** Glorot's normal initialisation, deviation {@code gain * sqrt(2 / (fan in + fan out))}. */
    static Init xavierNormal(double gain) {
        return (random, shape) ->
                normal(gain * Math.sqrt(2.0 / (fanIn(shape) + fanOut(shape)))).draw(random, shape);
    }

    /**
     * He's uniform initialisation for leaky ReLU of the given slope, bound {@code sqrt(6 / ((1 + slope^2) fan in))}.
     */
    static Init kaimingUniform(double slope) {
        return (random, shape) ->
                uniform(Math.sqrt(6 / ((1 + slope * slope) * fanIn(shape)))).draw(random, shape);
    }

    /** He's normal initialisation for leaky ReLU of the given slope, deviation {@code sqrt(2 / ((1 + slope^2) fan in))}. */
    static Init kaimingNormal(double slope) {
        return (random, shape) ->
                normal(Math.sqrt(2 / ((1 + slope * slope) * fanIn(shape)))).draw(random, shape);
    }

    /** What PyTorch's linear and convolution layers start with: weights uniform within {@code 1 / sqrt(fan in)}. */
    static Init fanIn() {
        return (random, shape) -> uniform(1 / Math.sqrt(fanIn(shape))).draw(random, shape);
    }

    /** The bias that belongs to {@link #fanIn()}; the fan is that of the weight. */
    static Init fanInBias(long fanIn) {
        return uniform(fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0);
    }

    private static Tensor outside(Tensor t, double low, double high) {
        return t.lt(low).or(t.gt(high));
    }

    private static long numel(long... shape) {
        return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    }

    private static double fanIn(long... shape) {
        return (double) shape[1] * receptive(shape);
    }

    private static double fanOut(long... shape) {
        return (double) shape[0] * receptive(shape);
    }

    private static long receptive(long... shape) {
        if (shape.length < 2) {
            throw new IllegalArgumentException(
                    "fans need a weight with at least two axes, not " + Arrays.toString(shape));
        }
        return Arrays.stream(shape, 2, shape.length).reduce(1, (a, b) -> a * b);
    }
}
