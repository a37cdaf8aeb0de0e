package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What decoder language models have in common: blocks in a row between a word table and a head. */
public abstract class Decoder implements LanguageModel {
    /** One layer of the model. */
    @FunctionalInterface
    public interface Block {
        /** {@code [B, T, D] -> [B, T, D]}. */
        Tensor forward(Tensor x, Pass pass);
    }

    /**
     * What a model consists of, in the order of its checkpoint.
     *
     * @param norm what comes after the last block
     * @param rope null for a model whose positions are added to the vectors
     * @param maxPositions longest row
     */
    public record Parts(
            Embedding words,
            List<? extends Block> blocks,
            Module norm,
            Linear head,
            @Nullable Rope rope,
            int maxPositions) {}

    private final Weights weights;
    private final Parts parts;

    protected Decoder(Weights weights, Parts parts) {
        this.weights = weights;
        this.parts = parts;
    }

    /** The output projection: one of its own, or the word table. */
    protected static Linear head(Weights w, boolean tied, Weights wordsAt, Embedding words, boolean hasBias) {
        if (tied) {
            w.tied("lm_head.weight", wordsAt.path() + ".weight");
            return new Linear(words.weight(), null);
        }
        return new Linear(
                w.at("lm_head"), words.weight().size(1), words.weight().size(0), hasBias);
    }

    /** What goes into the first block. {@code [B, T, D], [B, T] -> [B, T, D']}. */
    protected Tensor enter(Tensor embedded, Tensor positions) {
        return embedded;
    }

    @Override
    public Tensor embed(Tensor ids) {
        return parts.words.forward(ids.to(parts.words.weight().device()));
    }

    @Override
    public List<Tensor> hiddenStates(
            Tensor embedded, @Nullable Tensor mask, @Nullable Tensor positions, @Nullable KvCache cache) {
        List<Tensor> r = new ArrayList<>();
        run(embedded, mask, positions, cache, r);
        return r;
    }

    @Override
    public Tensor forward(Tensor embedded, @Nullable Tensor mask, @Nullable Tensor positions, @Nullable KvCache cache) {
        return run(embedded, mask, positions, cache, null);
    }

    private Tensor run(
            Tensor embedded,
            @Nullable Tensor mask,
            @Nullable Tensor positions,
            @Nullable KvCache cache,
            @Nullable List<Tensor> states) {
        try (Scope s = Scope.open()) {
            long tokens = embedded.size(1);
            Tensor seen = mask == null ? null : mask.to(embedded.device());
            Tensor place = positions == null ? positions(tokens, seen, cache) : positions;
            place = place.to(embedded.device());
            Rotary rotary = parts.rope == null ? null : parts.rope.at(place);
            Pass pass = Pass.of(tokens, seen, rotary, cache, embedded.device());
            Tensor x = kept(s, enter(embedded, place), states);
            for (int i = 0; i < parts.blocks.size(); i++) {
                Pass at = pass.at(i);
                Decoder.Block block = parts.blocks.get(i);
                Tensor next = Recompute.block(y -> block.forward(y, at), x);
                x = states == null ? s.replace(x, next) : kept(s, next, states);
            }
            Tensor out = parts.norm.forward(x);
            if (states != null) {
                states.add(out);
            }
            return s.keep(out);
        }
    }

    private static Tensor kept(Scope s, Tensor x, @Nullable List<Tensor> states) {
        if (states != null) {
            states.add(s.keep(x));
        }
        return x;
    }

    private Tensor positions(long tokens, @Nullable Tensor mask, @Nullable KvCache cache) {
        long past = cache == null ? 0 : cache.length();
        Check.atMost(
                parts.maxPositions,
                past + tokens,
                "max_position_embeddings of the language model,",
                "the number of tokens");
        if (mask == null || mask.dim() == 3) {
            return Tensor.arange(past, past + tokens, 1).unsqueeze(0); // [1, T]
        }
        Check.shape(mask.shape(), "the mask", -1, past + tokens);
        return counted(mask.ne(0L)).narrow(1, past, tokens); // [B, T]
    }

    /** Positions of all tokens so far, {@code [B, K]} BOOL, true for real ones {@code -> [B, K]} INT64. */
    protected Tensor counted(Tensor real) {
        return real.cumsum(1).sub(1L).relu();
    }

    @Override
    public Tensor logits(Tensor hidden) {
        return parts.head.forward(hidden);
    }

    @Override
    public int width() {
        return (int) parts.words.weight().size(1);
    }

    @Override
    public int vocabularySize() {
        return (int) parts.words.weight().size(0);
    }

    @Override
    public int maxPositions() {
        return parts.maxPositions;
    }

    @Override
    public void close() {
        weights.close();
    }
}
