package dev.zoetrope.models.quantize;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.List;

/**
 * Finite scalar quantisation, arXiv:2309.15505: each number is squeezed into a range and rounded to one of a few levels;
 * the digits of the index have these levels as their bases, the first the least significant.
 *
 * <p>Axes: B rows, C channels, then any axes, N codebooks, D numbers of each.
 */
public final class Fsq {
    /**
     * @param levels of each of the D numbers
     * @param dim C
     * @param codebooks N, each of which has D numbers of its own
     * @param symmetric whether the levels lie the same on both sides of zero, also where their number is even
     */
    public record Config(List<Integer> levels, int dim, int codebooks, boolean symmetric) {
        public Config {
            levels = List.copyOf(levels);
            checkLevels(levels);
            Check.positive(dim, "dim");
            Check.positive(codebooks, "num_codebooks");
        }

        public static Config of(Json j) {
            List<Integer> levels = Fsq.levels(j);
            int codebooks = j.get("num_codebooks", 1);
            return new Config(
                    levels, j.get("dim", levels.size() * codebooks), codebooks, j.get("preserve_symmetry", false));
        }
    }

    private static final double MARGIN = 1e-3; // so that rounding reaches the outermost levels

    private final Config config;
    private final Projections projections;

    public Fsq(Config c, Weights w) {
        config = c;
        projections = new Projections(w, c.dim, c.levels.size() * c.codebooks);
    }

    static List<Integer> levels(Json j) {
        if (!j.has("levels")) {
            throw j.unsupported("levels", "an array of numbers of levels");
        }
        return Arrays.stream(j.get("levels", new int[0])).boxed().toList();
    }

    static void checkLevels(List<Integer> levels) {
        long size = 1;
        for (int level : levels) {
            Check.atMost(level, 2, "a number of levels", "the least number of levels,");
            size = Math.multiplyExact(size, level);
        }
        if (levels.isEmpty() || size > Integer.MAX_VALUE) {
            throw new UserError("levels " + levels + " make " + (levels.isEmpty() ? "no" : "too many") + " codes");
        }
    }

    public Config config() {
        return config;
    }

    /** {@code [B, C, ...]} to values {@code [B, C, ...]} and indices {@code [B, ...]}, or {@code [B, ..., N]}. */
    public Quantized quantize(Tensor features) {
        try (Scope s = Scope.open()) {
            Levels l = new Levels(config.levels, features);
            Tensor x = projections
                    .in(Projections.channelsLast(features))
                    .unflatten(-1, config.codebooks, config.levels.size()); // [B, ..., N, D]
            Tensor q = config.symmetric ? l.symmetric(x.tanh()) : l.rounded(x);
            Tensor digits = config.symmetric ? l.symmetricDigits(q) : l.digits(q);
            Tensor indices = l.index(digits);
            Tensor values = through(x, q, l).flatten(x.dim() - 2);
            return new Quantized(
                    s.keep(Projections.channelsFirst(projections.out(values))),
                    s.keep(config.codebooks == 1 ? indices.squeeze(-1) : indices));
        }
    }

    /** The gradient goes through the squeezing, and past the rounding. */
    private Tensor through(Tensor x, Tensor q, Levels l) {
        Tensor squeezed = config.symmetric ? x.tanh() : l.squeezed(x).div(l.half);
        return Quantized.straightThrough(squeezed, q);
    }

    /** From indices back to values, {@code [B, C, ...]}. */
    public Tensor decode(Tensor indices) {
        try (Scope s = Scope.open()) {
            Tensor all = config.codebooks == 1 ? indices.unsqueeze(-1) : indices; // [B, ..., N]
            Levels l = new Levels(config.levels, all);
            Tensor digits = l.digitsOf(all);
            Tensor values = config.symmetric
                    ? l.symmetricValues(digits)
                    : digits.sub(l.half).div(l.half);
            return s.keep(Projections.channelsFirst(projections.out(values.flatten(values.dim() - 2))));
        }
    }

    /** The numbers of levels with what follows from them, as tensors {@code [D]}. */
    static final class Levels {
        private final Tensor count;
        final Tensor half; // of the count, rounded down
        private final Tensor span; // from the middle to the outermost level, a little more
        private final Tensor offset; // an even number of levels lies half a step aside
        private final Tensor shift;
        private final Tensor basis;

        Levels(List<Integer> levels, Tensor like) {
            int n = levels.size();
            float[][] f = new float[5][n];
            long[] product = new long[n];
            long before = 1;
            for (int i = 0; i < n; i++) {
                int level = levels.get(i);
                double reach = (level - 1) * (1 + MARGIN) / 2;
                double aside = level % 2 == 0 ? 0.5 : 0;
                double ratio = aside / reach;
                f[0][i] = level;
                f[1][i] = level / 2;
                f[2][i] = (float) reach;
                f[3][i] = (float) aside;
                f[4][i] = (float) (0.5 * Math.log((1 + ratio) / (1 - ratio)));
                product[i] = before;
                before *= level;
            }
            count = Tensor.of(f[0], n).to(like.device());
            half = Tensor.of(f[1], n).to(like.device());
            span = Tensor.of(f[2], n).to(like.device());
            offset = Tensor.of(f[3], n).to(like.device());
            shift = Tensor.of(f[4], n).to(like.device());
            basis = Tensor.of(product, n).to(like.device());
        }

        private Tensor squeezed(Tensor x) {
            return x.add(shift).tanh().mul(span).sub(offset);
        }

        private Tensor rounded(Tensor x) {
            return squeezed(x).round().div(half);
        }

        private Tensor digits(Tensor q) {
            return q.mul(half).add(half);
        }

        /** Numbers between -1 and 1 to the nearest level. */
        Tensor symmetric(Tensor within) {
            Tensor steps = count.sub(1.0);
            return within.add(1.0)
                    .mul(steps)
                    .div(2.0)
                    .add(0.5)
                    .floor()
                    .mul(2.0)
                    .div(steps)
                    .sub(1.0);
        }

        Tensor symmetricDigits(Tensor q) {
            return q.add(1.0).mul(count.sub(1.0)).div(2.0);
        }

        Tensor symmetricValues(Tensor digits) {
            return digits.mul(2.0).div(count.sub(1.0)).sub(1.0);
        }

        Tensor count() {
            return count;
        }

        Tensor index(Tensor digits) { // [..., D] -> [...]
            return digits.round().to(DType.INT64).mul(basis).sum(-1);
        }

        Tensor digitsOf(Tensor indices) { // [...] -> [..., D]
            Tensor q = indices.unsqueeze(-1).to(DType.FLOAT64).div(basis.to(DType.FLOAT64));
            return q.floor().remainder(count.to(DType.FLOAT64)).to(DType.FLOAT32);
        }
    }
}
