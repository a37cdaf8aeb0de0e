package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Multi-head attention with separate projections, arXiv:1706.03762: from itself, or from a context. */
public final class Attention implements Module {
    private final Linear query;
    private final Linear key;
    private final Linear value;
    private final Linear output;
    private final int heads;

    public Attention(Linear query, Linear key, Linear value, Linear output, int heads) {
        this.query = query;
        this.key = key;
        this.value = value;
        this.output = output;
        this.heads = heads;
    }

    /** Four square projections under the names given; {@code qkvBias} says whether the first three have a bias. */
    public static Attention of(
            Weights w, int dim, int heads, boolean qkvBias, String query, String key, String value, String output) {
        return new Attention(
                new Linear(w.at(query), dim, dim, qkvBias),
                new Linear(w.at(key), dim, dim, qkvBias),
                new Linear(w.at(value), dim, dim, qkvBias),
                new Linear(w.at(output), dim, dim),
                heads);
    }

    @Override
    public Tensor forward(Tensor x) {
        return forward(x, x, null, false);
    }

    /**
     * @param x {@code [B, Q, D]}
     * @param context {@code [B, K, D']}
     * @param mask added to the scores, or BOOL with true where attention is allowed; broadcast to {@code [B, heads, Q, K]}
     * @return {@code [B, Q, D]}
     */
    public Tensor forward(Tensor x, Tensor context, @Nullable Tensor mask, boolean causal) {
        try (Scope s = Scope.open()) {
            Tensor q = Heads.split(query.forward(x), heads); // [B, heads, Q, D / heads]
            Tensor k = Heads.split(key.forward(context), heads); // [B, heads, K, D / heads]
            Tensor v = Heads.split(value.forward(context), heads);
            Tensor y = Functional.attention(q, k, v, mask, causal, null);
            return s.keep(output.forward(Heads.merge(y))); // [B, Q, D]
        }
    }
}
