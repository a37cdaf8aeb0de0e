package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head self-attention whose queries, keys and values come out of one projection.
 *
 * <p>Axes: B rows, T tokens, D width, H heads, E = D / H.
 */
public final class FusedAttention implements Module {
    /** How the projection's output is laid out. */
    public enum Packing {
        /** All queries, then all keys, then all values: {@code [3, H, E]}. */
        BLOCKS,
        /** Query, key and value of the first head, then of the next: {@code [H, 3, E]}. */
        HEADS
    }

    private final Linear qkv;
    private final Linear output;
    private final int heads;
    private final Packing packing;

    public FusedAttention(Weights qkv, Weights output, int dim, int heads, boolean qkvBias, Packing packing) {
        this.qkv = new Linear(qkv, dim, 3L * dim, qkvBias);
        this.output = new Linear(output, dim, dim);
        this.heads = heads;
        this.packing = packing;
    }

    @Override
    public Tensor forward(Tensor x) {
        return forward(x, null, false);
    }

    /**
     * @param x {@code [B, T, D]}
     * @param mask added to the scores, or BOOL with true where attention is allowed; broadcast to {@code [B, H, T, T]}
     * @return {@code [B, T, D]}
     */
    public Tensor forward(Tensor x, @Nullable Tensor mask, boolean causal) {
        try (Scope s = Scope.open()) {
            Tensor all = qkv.forward(x); // [B, T, 3 D]
            List<Tensor> parts = packing == Packing.BLOCKS
                    ? all.unflatten(-1, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0) // 3 of [B, H, T, E]
                    : all.unflatten(-1, heads, 3, -1).permute(3, 0, 2, 1, 4).unbind(0);
            Tensor y = Functional.attention(parts.get(0), parts.get(1), parts.get(2), mask, causal, null);
            return s.keep(output.forward(Heads.merge(y)));
        }
    }
}
