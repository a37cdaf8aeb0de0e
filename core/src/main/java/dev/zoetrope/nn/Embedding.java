package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;

/** A table of vectors: {@code [...]} INT64 -> {@code [..., D]}. */
public final class Embedding implements Module {
    private final Tensor weight;

    public Embedding(Weights w, long entries, long dim) {
        this(w, entries, dim, Init.normal(1));
    }

    public Embedding(Weights w, long entries, long dim, Init init) {
        weight = w.tensor("weight", init, entries, dim);
    }

    @Override
    public Tensor forward(Tensor index) {
        return Functional.embedding(index, weight);
    }

    public Tensor weight() {
        return weight;
    }
}
