package dev.zoetrope.models.quantize;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Finite scalar quantisation several times over: each quantiser works on what those before left, on a scale that is finer
 * by the number of levels.
 *
 * <p>Axes: B rows, T tokens, C width of the features, Q quantisers, D numbers of each.
 */
public final class ResidualFsq {
    /**
     * @param levels of each of the D numbers
     * @param dim C
     * @param quantizers Q
     */
    public record Config(List<Integer> levels, int dim, int quantizers) {
        public Config {
            levels = List.copyOf(levels);
            Fsq.checkLevels(levels);
            Check.positive(dim, "dim");
            Check.positive(quantizers, "num_quantizers");
        }

        public static Config of(Json j) {
            List<Integer> levels = Fsq.levels(j);
            return new Config(levels, j.get("dim", levels.size()), j.requireInt("num_quantizers"));
        }
    }

    private final Config config;
    private final Projections projections;

    public ResidualFsq(Config c, Weights w) {
        config = c;
        projections = new Projections(w, c.dim, c.levels.size());
    }

    public Config config() {
        return config;
    }

    /** {@code [B, T, C]} to values {@code [B, T, C]} and indices {@code [B, T, Q]}. */
    public Quantized quantize(Tensor features) {
        Check.shape(features.shape(), "features", -1, -1, config.dim);
        try (Scope s = Scope.open()) {
            Fsq.Levels l = new Fsq.Levels(config.levels, features);
            Tensor x = projections.in(features);
            Tensor limit = l.count().sub(1.0).reciprocal().add(1.0);
            Tensor residual = x.div(limit).tanh().mul(limit);
            Tensor sum = residual.mul(0.0);
            List<Tensor> indices = new ArrayList<>();
            for (int i = 0; i < config.quantizers; i++) {
                Tensor scale = l.count().pow((double) -i);
                Tensor q = l.symmetric(residual.div(scale).clamp(-1, 1));
                indices.add(l.index(l.symmetricDigits(q)));
                sum = sum.add(q.mul(scale));
                residual = residual.sub(q.mul(scale));
            }
            return new Quantized(
                    s.keep(projections.out(Quantized.straightThrough(x, sum))), s.keep(Tensor.stack(-1, indices)));
        }
    }

    /** From indices {@code [B, T, Q]} back to values {@code [B, T, C]}. */
    public Tensor decode(Tensor indices) {
        Check.shape(indices.shape(), "indices", -1, -1, config.quantizers);
        try (Scope s = Scope.open()) {
            Fsq.Levels l = new Fsq.Levels(config.levels, indices);
            List<Tensor> parts = new ArrayList<>();
            for (int i = 0; i < config.quantizers; i++) {
                Tensor digits = l.digitsOf(indices.select(2, i));
                parts.add(l.symmetricValues(digits).mul(l.count().pow((double) -i)));
            }
            return s.keep(projections.out(Tensor.stack(0, parts).sum(0)));
        }
    }
}
