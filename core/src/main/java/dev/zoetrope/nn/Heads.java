package dev.zoetrope.nn;

import dev.zoetrope.tensor.Tensor;

/** Moves between {@code [B, T, D]} and the heads of attention, {@code [B, heads, T, D / heads]}. */
public final class Heads {
    private Heads() {}

    public static Tensor split(Tensor x, int heads) {
        return x.unflatten(-1, heads, -1).transpose(1, 2);
    }

    public static Tensor merge(Tensor x) {
        return x.transpose(1, 2).flatten(2);
    }
}
