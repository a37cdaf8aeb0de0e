package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * OPT, arXiv:2205.01068 (facebook/opt-2.7b, the language model of BLIP-2). Positions are learned; the 350m release has
 * its norms behind the sums and words narrower than the model.
 *
 * <p>Axes: B rows, T tokens, D word_embed_proj_dim, D' hidden_size.
 */
public final class Opt extends Decoder {
    /** The table of positions starts with a row that nothing uses and the row of padding. */
    private static final int FIRST_POSITION = 2;

    /**
     * @param hidden D'
     * @param wordWidth D
     * @param normFirst whether norms stand before attention and feed-forward, or behind the sums
     * @param finalNorm whether the last block's output is normalised
     * @param bias of linear layers
     * @param affine whether norms scale and shift
     */
    public record Config(
            int vocabularySize,
            int hidden,
            int wordWidth,
            int layers,
            int heads,
            int ffn,
            int positions,
            Act activation,
            boolean normFirst,
            boolean finalNorm,
            boolean bias,
            boolean affine,
            boolean tied,
            double deviation) {
        static final double EPS = 1e-5;

        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(positions, "max_position_embeddings");
            Check.positive(layers, "num_hidden_layers");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            int hidden = j.get("hidden_size", 768);
            boolean normFirst = j.get("do_layer_norm_before", true);
            return new Config(
                    j.get("vocab_size", 50272),
                    hidden,
                    j.get("word_embed_proj_dim", hidden),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("ffn_dim", 3072),
                    j.get("max_position_embeddings", 2048),
                    j.get("activation_function", Act.RELU, Act::of),
                    normFirst,
                    normFirst && !j.get("_remove_final_layer_norm", false),
                    j.get("enable_bias", true),
                    j.get("layer_norm_elementwise_affine", true),
                    j.get("tie_word_embeddings", true),
                    j.get("init_std", 0.02));
        }

        Module norm(Weights w) {
            return affine ? new LayerNorm(w, hidden, EPS) : LayerNorm.plain(hidden, EPS);
        }
    }

    private final Embedding places;
    private final @Nullable Linear projectIn;

    public Opt(Config c, Weights w) {
        this(names(w), c);
    }

    private Opt(Weights w, Config c) {
        super(w, parts(c, w));
        Weights d = w.at("model.decoder");
        places = new Embedding(
                d.at("embed_positions"), c.positions + FIRST_POSITION, c.hidden, Init.normal(c.deviation));
        projectIn = c.wordWidth == c.hidden ? null : new Linear(d.at("project_in"), c.wordWidth, c.hidden, false);
    }

    /** Some releases have no {@code model.} in front. */
    private static Weights names(Weights w) {
        String path = w.path().isEmpty() ? "" : w.path() + ".";
        return w.has("decoder.embed_tokens.weight")
                ? w.renamed(n -> n.replace(path + "model.decoder.", path + "decoder."))
                : w;
    }

    private static Parts parts(Config c, Weights named) {
        Weights w = named.initialised((name, init) -> name.matches(".*(_proj|project_in|project_out|fc1|fc2)\\.weight")
                ? Init.normal(c.deviation)
                : name.endsWith(".bias") ? Init.zeros() : init);
        Weights d = w.at("model.decoder");
        Weights table = d.at("embed_tokens");
        Embedding words = new Embedding(table, c.vocabularySize, c.wordWidth, Init.normal(c.deviation));
        List<Layer> layers = d.at("layers").stack(c.layers, l -> new Layer(c, l));
        Module norm = c.finalNorm ? c.norm(d.at("final_layer_norm")) : x -> x;
        Module narrow =
                c.wordWidth == c.hidden ? x -> x : new Linear(d.at("project_out"), c.hidden, c.wordWidth, false);
        Linear head = head(w, c.tied, table, words, false);
        return new Parts(words, layers, x -> narrow.forward(norm.forward(x)), head, null, c.positions);
    }

    @Override
    protected Tensor counted(Tensor real) {
        return real.cumsum(1).mul(real).sub(1L); // padding is before the first
    }

    @Override
    protected Tensor enter(Tensor embedded, Tensor positions) {
        Tensor x = projectIn == null ? embedded : projectIn.forward(embedded);
        return x.add(Functional.embedding(positions.add(FIRST_POSITION), places.weight()));
    }

    private static final class Layer implements Block {
        private final SelfAttention attention;
        private final Module attentionNorm;
        private final Linear fc1;
        private final Linear fc2;
        private final Module finalNorm;
        private final Config config;

        Layer(Config c, Weights w) {
            SelfAttention.Shape shape = SelfAttention.Shape.of(c.hidden, c.heads, c.heads);
            attention = new SelfAttention(shape, w.at("self_attn"), c.bias, "out_proj", c.bias);
            attentionNorm = c.norm(w.at("self_attn_layer_norm"));
            fc1 = new Linear(w.at("fc1"), c.hidden, c.ffn, c.bias);
            fc2 = new Linear(w.at("fc2"), c.ffn, c.hidden, c.bias);
            finalNorm = c.norm(w.at("final_layer_norm"));
            config = c;
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            try (Scope s = Scope.open()) {
                if (config.normFirst) {
                    Tensor h = x.add(attention.forward(attentionNorm.forward(x), pass));
                    return s.keep(h.add(feed(finalNorm.forward(h))));
                }
                Tensor h = attentionNorm.forward(x.add(attention.forward(x, pass)));
                return s.keep(finalNorm.forward(h.add(feed(h))));
            }
        }

        private Tensor feed(Tensor x) {
            return fc2.forward(config.activation.of(fc1.forward(x)));
        }
    }
}
