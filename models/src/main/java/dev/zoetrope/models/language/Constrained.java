package dev.zoetrope.models.language;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;
import java.util.function.IntFunction;

/** A text under way in which only some tokens may come at each step. */
public final class Constrained implements Steps {
    private final Steps inner;
    private final IntFunction<int[]> allowed;
    private int step;

    /** @param allowed for each step, counted from 0: the tokens that may come, at least one */
    public Constrained(Steps inner, IntFunction<int[]> allowed) {
        this.inner = inner;
        this.allowed = allowed;
    }

    @Override
    public Tensor first() {
        return masked(inner.first());
    }

    @Override
    public Tensor next(Tensor chosen) {
        return masked(inner.next(chosen));
    }

    private Tensor masked(Tensor scores) {
        float[] penalty = new float[(int) scores.size(-1)];
        Arrays.fill(penalty, Float.NEGATIVE_INFINITY);
        for (int token : allowed.apply(step)) {
            penalty[token] = 0;
        }
        step++;
        return scores.to(DType.FLOAT32).add(Tensor.of(penalty, penalty.length).to(scores.device()));
    }

    @Override
    public void select(Tensor rows) {
        inner.select(rows);
    }

    @Override
    public void close() {
        inner.close();
    }
}
