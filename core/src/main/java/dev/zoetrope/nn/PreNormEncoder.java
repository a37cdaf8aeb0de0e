package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A stack of transformer blocks that normalise before attention and before the feed-forward layer, as vision
 * transformers have them, arXiv:2010.11929. Blocks are numbered from 0; a hidden state is named by how many blocks it
 * went through.
 *
 * <p>Axes: B rows, T tokens, D hidden.
 */
public final class PreNormEncoder {
    /** Attention of a block to itself. */
    @FunctionalInterface
    public interface Mixer {
        /** {@code [B, T, D] -> [B, T, D]}; mask and causal as {@link Attention#forward} takes them. */
        Tensor forward(Tensor x, @Nullable Tensor mask, boolean causal);
    }

    /** Builds the attention of the block at a path. */
    @FunctionalInterface
    public interface Mixing {
        Mixer at(Weights block, int hidden, int heads, boolean qkvBias);

        /** Four projections of their own. */
        static Mixing separate(String query, String key, String value, String output) {
            return (w, hidden, heads, bias) -> {
                Attention a = Attention.of(w, hidden, heads, bias, query, key, value, output);
                return (x, mask, causal) -> a.forward(x, x, mask, causal);
            };
        }

        /** One projection to queries, keys and values. */
        static Mixing fused(String qkv, String output, FusedAttention.Packing packing) {
            return (w, hidden, heads, bias) ->
                    new FusedAttention(w.at(qkv), w.at(output), hidden, heads, bias, packing)::forward;
        }
    }

    /** What a checkpoint calls the parts of a block. */
    public record Names(String attentionNorm, Mixing attention, String feedNorm, String up, String down) {
        public Names(
                String attentionNorm,
                String query,
                String key,
                String value,
                String output,
                String feedNorm,
                String up,
                String down) {
            this(attentionNorm, Mixing.separate(query, key, value, output), feedNorm, up, down);
        }
    }

    private final List<Block> blocks;

    /**
     * @param w where the blocks {@code 0} to {@code layers - 1} lie
     * @param qkvBias whether query, key and value have a bias
     */
    public PreNormEncoder(
            Weights w,
            Names names,
            int layers,
            int hidden,
            int heads,
            int intermediate,
            Act activation,
            double eps,
            boolean qkvBias) {
        blocks = w.stack(
                layers,
                at -> new Block(
                        new LayerNorm(at.at(names.attentionNorm), hidden, eps),
                        names.attention.at(at, hidden, heads, qkvBias),
                        new LayerNorm(at.at(names.feedNorm), hidden, eps),
                        new Linear(at.at(names.up), hidden, intermediate),
                        new Linear(at.at(names.down), intermediate, hidden),
                        activation));
    }

    /** How many blocks there are. */
    public int depth() {
        return blocks.size();
    }

    /**
     * How many blocks a hidden state went through, from a number that counts from the end if negative: -1 is what comes
     * out of the last block, -2 of the one before, 0 what goes into the first.
     */
    public int depth(int layer) {
        Check.between(-blocks.size() - 1, blocks.size(), layer, "layer");
        return layer < 0 ? blocks.size() + 1 + layer : layer;
    }

    /** Through all blocks, every token seeing every other. {@code [B, T, D]}. */
    public Tensor forward(Tensor x) {
        return forward(x, depth(), null, false);
    }

    /**
     * Through the first {@code depth} blocks.
     *
     * @param mask BOOL, true where attention is allowed, broadcast to {@code [B, heads, T, T]}; null for everywhere
     * @param causal whether a token sees only itself and those before; not together with a mask
     */
    public Tensor forward(Tensor x, int depth, @Nullable Tensor mask, boolean causal) {
        try (Scope s = Scope.open()) {
            Tensor y = x;
            for (Block block : blocks.subList(0, depth)) {
                y = s.replace(y, Recompute.block(z -> block.forward(z, mask, causal), y));
            }
            return s.keep(y);
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [B, T, D]}. */
    public List<Tensor> hiddenStates(Tensor x, @Nullable Tensor mask, boolean causal) {
        List<Tensor> r = new ArrayList<>(List.of(x));
        for (Block block : blocks) {
            r.add(Recompute.block(z -> block.forward(z, mask, causal), r.get(r.size() - 1)));
        }
        return r;
    }

    /** What the attention of one block makes of a hidden state, before it is added, {@code [B, T, D]}. */
    public Tensor attended(int block, Tensor x) {
        Block b = blocks.get(block);
        try (Scope s = Scope.open()) {
            return s.keep(b.attention.forward(b.attentionNorm.forward(x), null, false));
        }
    }

    private record Block(
            LayerNorm attentionNorm, Mixer attention, LayerNorm feedNorm, Linear up, Linear down, Act activation) {

        Tensor forward(Tensor x, @Nullable Tensor mask, boolean causal) {
            try (Scope s = Scope.open()) {
                Tensor y = attentionNorm.forward(x);
                Tensor h = x.add(attention.forward(y, mask, causal));
                return s.keep(h.add(down.forward(activation.of(up.forward(feedNorm.forward(h))))));
            }
        }
    }
}
