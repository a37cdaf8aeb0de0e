package dev.zoetrope.models.sora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * A small transformer over a caption's words. Besides the words it gives a few pooled vectors, each gathered by a learned
 * query: one average over all words would drown the one that says how the thing moves.
 *
 * <p>B captions, L words, D width, Q queries.
 */
public final class CaptionEncoder {
    /**
     * @param vocabSize entries of the tokenizer; 0 is padding
     * @param maxLength longest caption in tokens
     */
    public record Config(int vocabSize, int maxLength, int width, int layers, int heads, int queries) {
        public Config {
            Check.positive(vocabSize, "vocab_size");
            Check.positive(maxLength, "max_length");
            Check.divides(heads, width, "heads", "width");
            Check.positive(queries, "queries");
        }

        public static Config of(Json j) {
            return new Config(
                    j.requireInt("vocab_size"),
                    j.get("max_length", 48),
                    j.get("width", 128),
                    j.get("layers", 2),
                    j.get("heads", 4),
                    j.get("queries", 4));
        }
    }

    /**
     * An encoded batch of captions.
     *
     * @param words {@code [B, L, D]}
     * @param pooled {@code [B, Q, D]}, each normalised
     * @param present {@code [B, L]} BOOL, false for padding
     */
    public record Encoded(Tensor words, Tensor pooled, Tensor present) {
        /** These captions followed by others of the same length. */
        public Encoded and(Encoded other) {
            return new Encoded(
                    Tensor.cat(0, words, other.words),
                    Tensor.cat(0, pooled, other.pooled),
                    Tensor.cat(0, present, other.present));
        }
    }

    private final Config config;
    private final Embedding embedTokens;
    private final Tensor positions;
    private final List<Layer> layers;
    private final LayerNorm norm;
    private final Tensor queries;
    private final Linear poolKey;
    private final Linear poolValue;
    private final LayerNorm poolNorm;

    public CaptionEncoder(Config c, Weights w) {
        config = c;
        int d = c.width();
        embedTokens = new Embedding(w.at("embed_tokens"), c.vocabSize(), d, Init.normal(.5));
        positions = w.tensor("positions", Init.normal(.02), c.maxLength(), d);
        layers = w.at("layers").stack(c.layers(), at -> new Layer(c, at));
        norm = new LayerNorm(w.at("norm"), d, 1e-5);
        queries = w.tensor("queries", Init.normal(.5), c.queries(), d);
        poolKey = new Linear(w.at("pool_key"), d, d);
        poolValue = new Linear(w.at("pool_value"), d, d);
        poolNorm = LayerNorm.plain(d, 1e-5);
    }

    public Config config() {
        return config;
    }

    /** @param ids {@code [B, L]} INT64, padded with 0 on the right; at least one token each */
    public Encoded encode(Tensor ids) {
        try (Scope s = Scope.open()) {
            Tensor present = ids.ne(0); // [B, L]
            Tensor mask = present.unsqueeze(1).unsqueeze(1); // [B, 1, 1, L]
            Tensor x = embedTokens.forward(ids).add(positions.narrow(0, 0, ids.size(1))); // [B, L, D]
            for (Layer layer : layers) {
                x = s.replace(x, Recompute.block(y -> layer.forward(y, mask), x));
            }
            x = norm.forward(x);
            Tensor scores = queries.matmul(poolKey.forward(x).transpose(1, 2)) // [B, Q, L]
                    .div(Math.sqrt(config.width()))
                    .maskedFill(present.not().unsqueeze(1), Double.NEGATIVE_INFINITY);
            Tensor pooled = poolNorm.forward(scores.softmax(-1).matmul(poolValue.forward(x))); // [B, Q, D]
            return new Encoded(s.keep(x), s.keep(pooled), s.keep(present));
        }
    }

    /** Pre-norm transformer layer. */
    private static final class Layer {
        private final LayerNorm before;
        private final Attention attention;
        private final LayerNorm after;
        private final Linear up;
        private final Linear down;

        Layer(Config c, Weights w) {
            int d = c.width();
            before = new LayerNorm(w.at("norm_attention"), d, 1e-5);
            attention = Attention.of(w.at("attention"), d, c.heads(), false, "query", "key", "value", "output");
            after = new LayerNorm(w.at("norm_mlp"), d, 1e-5);
            up = new Linear(w.at("mlp.up"), d, 4L * d);
            down = new Linear(w.at("mlp.down"), 4L * d, d);
        }

        Tensor forward(Tensor x, Tensor mask) { // [B, L, D] -> [B, L, D]
            Tensor n = before.forward(x);
            x = x.add(attention.forward(n, n, mask, false));
            return x.add(down.forward(up.forward(after.forward(x)).geluTanh()));
        }
    }

    /** {@code [B, L]} ids of equal length from ragged ones; an empty caption is the one token that stands for none. */
    public Tensor pad(List<long[]> captions, long none) {
        int length = 1;
        for (long[] c : captions) {
            length = Math.max(length, Math.min(c.length, config.maxLength()));
        }
        long[] ids = new long[captions.size() * length];
        for (int i = 0; i < captions.size(); i++) {
            long[] c = captions.get(i);
            if (c.length == 0) {
                ids[i * length] = none;
            }
            System.arraycopy(c, 0, ids, i * length, Math.min(c.length, length));
        }
        return Tensor.of(ids, captions.size(), length);
    }

    /** Pooled vectors side by side, {@code [B, Q D]}. */
    static Tensor flat(Encoded e) {
        return e.pooled().flatten(1);
    }

    static Tensor mask(Tensor present, long others) { // true for what is not text
        Tensor all = Functional.pad(present.to(dev.zoetrope.tensor.DType.FLOAT32), 1, 0, others);
        return all.gt(.5).unsqueeze(1).unsqueeze(1);
    }
}
