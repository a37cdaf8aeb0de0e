package dev.zoetrope.models.language;

import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What the blocks of a decoder share while tokens go through them: the turns of their positions, which tokens each may
 * see, and what is remembered of those before.
 *
 * <p>Axes: B rows, H heads, G heads of keys and values (each serves H / G neighbouring heads of queries), T tokens,
 * K = tokens before these and T, E width of a head.
 */
public final class Pass {
    /** Scores that are not allowed: the most negative float32, under which a row without any allowed one is uniform. */
    private static final double NOT_ALLOWED = -Float.MAX_VALUE;

    private final @Nullable Rotary rotary;
    private final @Nullable Tensor bias; // added to scores, broadcast to [B, 1, T, K]
    private final boolean causal;
    private final @Nullable KvCache cache;
    private final long past;
    private final int block;

    private Pass(
            @Nullable Rotary rotary,
            @Nullable Tensor bias,
            boolean causal,
            @Nullable KvCache cache,
            long past,
            int block) {
        this.rotary = rotary;
        this.bias = bias;
        this.causal = causal;
        this.cache = cache;
        this.past = past;
        this.block = block;
    }

    /**
     * @param tokens T
     * @param mask {@code [B, K]}, not 0 for real tokens; or {@code [B, T, K]}, not 0 for what each token sees; null where
     *     each sees all up to itself
     * @param rotary of the T positions; null for a model without
     * @param cache of the tokens before, to which these are added; null for none
     */
    public static Pass of(
            long tokens, @Nullable Tensor mask, @Nullable Rotary rotary, @Nullable KvCache cache, Device device) {
        long past = cache == null ? 0 : cache.length();
        if (mask != null && mask.dim() == 3) {
            return new Pass(rotary, bias(mask.eq(0L).unsqueeze(1)), false, cache, past, 0);
        }
        Tensor padding =
                mask == null || mask.all() ? null : mask.eq(0L).unsqueeze(1).unsqueeze(1); // [B, 1, 1, K]
        if (padding == null && (past == 0 || tokens == 1)) {
            return new Pass(rotary, null, tokens > 1, cache, past, 0);
        }
        Tensor later = Tensor.ones(tokens, past + tokens).triu(past + 1).ne(0L).to(device); // [T, K]
        Tensor forbidden = padding == null ? later : tokens == 1 ? padding : padding.or(later);
        return new Pass(rotary, bias(forbidden), false, cache, past, 0);
    }

    private static Tensor bias(Tensor forbidden) {
        return Tensor.zeros().to(forbidden.device()).maskedFill(forbidden, NOT_ALLOWED);
    }

    /** As one block sees it: its own part of the cache. */
    public Pass at(int number) {
        return new Pass(rotary, bias, causal, cache, past, number);
    }

    /** How many tokens stand before these. */
    public long past() {
        return past;
    }

    /** Number of the block that this pass is at. */
    public int block() {
        return block;
    }

    /** Turns the first features of each head by the token's position; the rest stays. {@code [B, H, T, E]}. */
    public Tensor turn(Tensor x) {
        if (rotary == null) {
            return x;
        }
        long size = 2 * rotary.cos().size(-1);
        if (size == x.size(-1)) {
            return rotary.halves(x);
        }
        Tensor turned = rotary.halves(x.narrow(-1, 0, size));
        return Tensor.cat(-1, turned, x.narrow(-1, size, x.size(-1) - size).to(turned.dtype()));
    }

    /**
     * Causal attention to these tokens and those before, which are remembered.
     *
     * @param q {@code [B, H, T, E]}
     * @param k {@code [B, G, T, E]}
     * @param v {@code [B, G, T, E]}
     * @param scale factor on the scores; null for 1 / sqrt(E)
     * @return {@code [B, H, T, E]}
     */
    public Tensor attend(Tensor q, Tensor k, Tensor v, @Nullable Double scale) {
        // Half precision attention on a CPU runs in float32; remembering that saves converting all again at each token.
        DType type = q.device().equals(Device.CPU) && v.dtype().bytes() == 2 ? DType.FLOAT32 : v.dtype();
        KvCache.KeyValue all = new KvCache.KeyValue(k.to(type), v.to(type));
        if (cache != null) {
            all = cache.layer(block).append(all.keys(), all.values());
        }
        Tensor keys = all.keys();
        Tensor values = all.values();
        Tensor query = q.to(type);
        long groups = keys.size(1);
        long perGroup = q.size(1) / groups;
        if (perGroup > 1 && q.size(2) == 1) { // the heads of a group are its queries: nothing is copied
            Tensor grouped = query.reshape(q.size(0), groups, perGroup, q.size(3));
            return Functional.attention(grouped, keys, values, bias, false, scale)
                    .reshape(q.shape())
                    .to(v.dtype());
        }
        if (perGroup > 1) {
            keys = keys.repeatInterleave(perGroup, 1);
            values = values.repeatInterleave(perGroup, 1);
        }
        return Functional.attention(query, keys, values, bias, causal, scale).to(v.dtype());
    }
}
