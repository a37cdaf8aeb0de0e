package dev.zoetrope.models.blip2;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Dropout;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The querying transformer of BLIP-2, arXiv:2301.12597: BERT's encoder, in which learned queries look at a picture's
 * features in some of the blocks, and in which queries and text share attention to themselves but have feed-forward
 * layers of their own.
 *
 * <p>Axes: B rows, Q queries, T tokens of text, N = Q + T, H hidden_size, F features of a picture, V their width.
 */
public final class QFormer {
    /**
     * @param vocabularySize rows of the word table of models that read text
     * @param hidden H
     * @param intermediate width inside the feed-forward layers
     * @param positions longest text
     * @param crossEvery each how many blocks the queries look at the picture, from the first on
     * @param features V
     * @param readsText whether there are feed-forward layers for text
     * @param dropout of embeddings and of what attention and feed-forward add, while training
     * @param deviation of the initial weights
     */
    public record Config(
            int vocabularySize,
            int hidden,
            int layers,
            int heads,
            int intermediate,
            int positions,
            Act activation,
            double eps,
            int crossEvery,
            int features,
            boolean readsText,
            double dropout,
            double deviation) {
        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(positions, "max_position_embeddings");
            Check.positive(crossEvery, "cross_attention_frequency");
            Check.positive(features, "encoder_hidden_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            j.expect("position_embedding_type", "absolute");
            return new Config(
                    j.get("vocab_size", 30522),
                    j.get("hidden_size", 768),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("intermediate_size", 3072),
                    j.get("max_position_embeddings", 512),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-12),
                    j.get("cross_attention_frequency", 2),
                    j.get("encoder_hidden_size", 1408),
                    j.get("use_qformer_text_input", false),
                    j.get("hidden_dropout_prob", 0.1),
                    j.get("initializer_range", 0.02));
        }
    }

    private final Config config;
    private final LayerNorm norm;
    private final Dropout dropout;
    private final List<Layer> layers = new ArrayList<>();

    public QFormer(Config c, Weights w) {
        this(c, w, new LayerNorm(w.at("layernorm"), c.hidden, c.eps), "attention");
    }

    /**
     * For releases in other words.
     *
     * @param norm of what goes into the first block
     * @param projections under which the projections of an attention lie; BERT's own says {@code self}
     */
    public QFormer(Config c, Weights published, LayerNorm norm, String projections) {
        Weights w = published.initialised((name, init) -> initial(c, name, init));
        config = c;
        this.norm = norm;
        dropout = new Dropout(c.dropout);
        Weights blocks = w.at("encoder.layer");
        for (int i = 0; i < c.layers; i++) {
            layers.add(new Layer(c, blocks.at(i), projections, i % c.crossEvery == 0));
        }
    }

    /** BERT's initial weights, which the models around a Q-Former share. */
    static Init initial(Config c, String name, Init absent) {
        boolean norm = name.contains("LayerNorm") || name.contains("layernorm");
        return norm ? absent : name.endsWith(".bias") ? Init.zeros() : Init.normal(c.deviation);
    }

    /** The last of {@link #hiddenStates}, {@code [B, N, H]}. */
    public Tensor forward(
            @Nullable Tensor queries, @Nullable Tensor text, @Nullable Tensor allowed, @Nullable Tensor features) {
        try (Scope s = Scope.open()) {
            List<Tensor> all = hiddenStates(queries, text, allowed, features);
            return s.keep(all.get(all.size() - 1));
        }
    }

    /**
     * What comes out of each block, {@code [B, N, H]}, queries first.
     *
     * @param queries {@code [B, Q, H]}; null for text alone, which sees no picture
     * @param text words with their positions, {@code [B, T, H]}; null for queries alone
     * @param allowed BOOL, true where a token sees another, broadcast to {@code [B, heads, N, N]}; null for everywhere
     * @param features {@code [B, F, V]}, for the queries
     */
    public List<Tensor> hiddenStates(
            @Nullable Tensor queries, @Nullable Tensor text, @Nullable Tensor allowed, @Nullable Tensor features) {
        List<Tensor> r = new ArrayList<>();
        int count = queries == null ? 0 : (int) queries.size(1);
        try (Scope s = Scope.open()) {
            Tensor x = dropout.forward(norm.forward(joined(queries, text)));
            for (Layer layer : layers) {
                Recompute.Block run =
                        (y, seen) -> layer.forward(y, count, allowed, seen.isEmpty() ? null : seen.get(0));
                x = s.keep(features == null ? Recompute.block(run, x) : Recompute.block(run, x, features));
                r.add(x);
            }
        }
        return r;
    }

    private static Tensor joined(@Nullable Tensor queries, @Nullable Tensor text) {
        if (queries != null && text != null) {
            return Tensor.cat(1, queries, text);
        }
        if (queries == null && text == null) {
            throw new IllegalArgumentException("the Q-Former needs queries or text");
        }
        return queries != null ? queries : text;
    }

    public Config config() {
        return config;
    }

    /** Each part's output is added to what came in and normalised. */
    private static final class Layer {
        private final Mix self;
        private final @Nullable Mix cross;
        private final Feed queryFeed;
        private final @Nullable Feed textFeed;

        Layer(Config c, Weights w, String projections, boolean looks) {
            self = new Mix(c, w.at("attention"), projections, c.hidden);
            cross = looks ? new Mix(c, w.at("crossattention"), projections, c.features) : null;
            textFeed = c.readsText ? new Feed(c, w.at("intermediate"), w.at("output")) : null;
            queryFeed = new Feed(c, w.at("intermediate_query"), w.at("output_query"));
        }

        Tensor forward(Tensor x, int queries, @Nullable Tensor allowed, @Nullable Tensor features) {
            try (Scope s = Scope.open()) {
                Tensor y = self.forward(x, x, allowed);
                long words = y.size(1) - queries;
                List<Tensor> parts = new ArrayList<>();
                if (queries > 0) {
                    Tensor q = y.narrow(1, 0, queries);
                    if (cross != null && features != null) {
                        q = cross.forward(q, features, null);
                    }
                    parts.add(queryFeed.forward(q));
                }
                if (words > 0) {
                    if (textFeed == null) {
                        throw new UserError("this Q-Former reads no text (use_qformer_text_input is false); "
                                + "use a checkpoint for retrieval");
                    }
                    parts.add(textFeed.forward(y.narrow(1, queries, words)));
                }
                return s.keep(parts.size() == 1 ? parts.get(0) : Tensor.cat(1, parts));
            }
        }
    }

    /** Attention to a context, {@code [B, N, H], [B, K, V] -> [B, N, H]}. */
    private static final class Mix {
        private final Attention attention;
        private final LayerNorm norm;
        private final Dropout dropout;

        Mix(Config c, Weights w, String projections, int context) {
            Weights a = w.at(projections);
            attention = new Attention(
                    new Linear(a.at("query"), c.hidden, c.hidden),
                    new Linear(a.at("key"), context, c.hidden),
                    new Linear(a.at("value"), context, c.hidden),
                    new Linear(w.at("output.dense"), c.hidden, c.hidden),
                    c.heads);
            norm = new LayerNorm(w.at("output.LayerNorm"), c.hidden, c.eps);
            dropout = new Dropout(c.dropout);
        }

        Tensor forward(Tensor x, Tensor context, @Nullable Tensor allowed) {
            return norm.forward(x.add(dropout.forward(attention.forward(x, context, allowed, false))));
        }
    }

    private static final class Feed {
        private final Linear up;
        private final Linear down;
        private final LayerNorm norm;
        private final Dropout dropout;
        private final Act activation;

        Feed(Config c, Weights intermediate, Weights output) {
            up = new Linear(intermediate.at("dense"), c.hidden, c.intermediate);
            down = new Linear(output.at("dense"), c.intermediate, c.hidden);
            norm = new LayerNorm(output.at("LayerNorm"), c.hidden, c.eps);
            dropout = new Dropout(c.dropout);
            activation = c.activation;
        }

        Tensor forward(Tensor x) {
            return norm.forward(x.add(dropout.forward(down.forward(activation.of(up.forward(x))))));
        }
    }
}
