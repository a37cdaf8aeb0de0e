package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/** Shifts, scales and gates of a block from the vector that steers it: SiLU, then one linear layer. */
final class Modulation {
    /** Of the norms without weights that are modulated. */
    static final double EPS = 1e-6;

    private final Linear linear;
    private final int parts;

    Modulation(Weights linear, int hidden, int parts) {
        this.linear = new Linear(linear, hidden, (long) parts * hidden);
        this.parts = parts;
    }

    /** {@code [B, D]} to that many of {@code [B, 1, D]}. */
    List<Tensor> forward(Tensor condition) {
        return linear.forward(condition.silu()).unsqueeze(1).chunk(parts, -1);
    }

    static LayerNorm norm(int hidden) {
        return LayerNorm.plain(hidden, EPS);
    }

    static Tensor apply(Tensor normed, Tensor shift, Tensor scale) {
        return normed.mul(scale.add(1)).add(shift);
    }
}
