package dev.zoetrope.nn;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Rotary position embedding, arXiv:2104.09864: pairs of features turn by an angle that grows with the position.
 * {@code cos} and {@code sin} broadcast against the tensor that is turned.
 */
public record Rotary(Tensor cos, Tensor sin) {
    /** From angles {@code [T, D / 2]}. */
    public static Rotary of(Tensor angles) {
        return new Rotary(angles.cos(), angles.sin());
    }

    /** Pairs are (i, i + D / 2): the halves turn against each other. {@code x [B, heads, T, D]}. */
    public Tensor halves(Tensor x) {
        long half = x.size(-1) / 2;
        Tensor a = x.narrow(-1, 0, half);
        Tensor b = x.narrow(-1, half, half);
        return Tensor.cat(-1, a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin)));
    }

    /** Pairs are (2i, 2i + 1): neighbours turn against each other. {@code x [..., T, D]}. */
    public Tensor neighbours(Tensor x) {
        try (Scope s = Scope.open()) {
            Tensor turn = Tensor.stack(-1, cos, sin).viewAsComplex(); // [T, D / 2]
            Tensor pairs = x.to(DType.FLOAT32).unflatten(-1, -1, 2).viewAsComplex();
            return s.keep(pairs.mul(turn).viewAsReal().flatten(-2, -1).to(x.dtype()));
        }
    }
}
