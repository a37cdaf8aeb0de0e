package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Renames;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * GPT-2, Radford et al. 2019 (openai-community/gpt2). Its files hold the matrices of linear layers transposed.
 *
 * <p>Axes: B rows, T tokens, D n_embd.
 */
public final class Gpt2 extends Decoder {
    /**
     * @param positions longest row
     * @param inner width inside the feed-forward layers
     * @param scaled whether scores of attention are divided by the root of a head's width
     * @param scaledByLayer and by the number of the layer, from 1
     */
    public record Config(
            int vocabularySize,
            int positions,
            int width,
            int layers,
            int heads,
            int inner,
            Act activation,
            double eps,
            boolean scaled,
            boolean scaledByLayer,
            boolean tied,
            double deviation) {
        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(positions, "n_positions");
            Check.positive(layers, "n_layer");
            Check.divides(heads, width, "n_head", "n_embd");
        }

        public static Config of(Json j) {
            j.expect("add_cross_attention", false);
            int width = j.get("n_embd", 768);
            return new Config(
                    j.get("vocab_size", 50257),
                    j.get("n_positions", 1024),
                    width,
                    j.get("n_layer", 12),
                    j.get("n_head", 12),
                    j.get("n_inner", 4 * width),
                    j.get("activation_function", Act.GELU_TANH, Act::of),
                    j.get("layer_norm_epsilon", 1e-5),
                    j.get("scale_attn_weights", true),
                    j.get("scale_attn_by_inverse_layer_idx", false),
                    j.get("tie_word_embeddings", true),
                    j.get("initializer_range", 0.02));
        }

        double scale(int layer) {
            double scale = scaled ? 1 / Math.sqrt((double) width / heads) : 1;
            return scaledByLayer ? scale / (layer + 1) : scale;
        }
    }

    private final Embedding places;

    public Gpt2(Config c, Weights w) {
        this(names(w), c);
    }

    private Gpt2(Weights w, Config c) {
        super(w, parts(c, w));
        places = new Embedding(w.at("transformer.wpe"), c.positions, c.width, Init.normal(c.deviation));
    }

    /** The first release has no {@code transformer.} in front. */
    private static Weights names(Weights w) {
        String path = w.path().isEmpty() ? "" : w.path() + ".";
        Weights r = w.renamed(Renames.of("\\.(c_attn|c_fc|c_proj)\\.weight$", ".$1.weight#T"));
        return w.has("wte.weight") ? r.renamed(n -> n.replace(path + "transformer.", path)) : r;
    }

    private static Parts parts(Config c, Weights named) {
        Weights w = named.initialised((name, init) -> initial(c, name, init));
        Weights table = w.at("transformer.wte");
        Embedding words = new Embedding(table, c.vocabularySize, c.width, Init.normal(c.deviation));
        List<Layer> layers = w.at("transformer.h").stack(c.layers, l -> new Layer(c, l));
        LayerNorm norm = new LayerNorm(w.at("transformer.ln_f"), c.width, c.eps);
        Linear head = head(w, c.tied, table, words, false);
        w.ignorable("(transformer\\.)?h\\.\\d+\\.attn\\.(masked_)?bias"); // the causal mask
        return new Parts(words, layers, norm, head, null, c.positions);
    }

    /** What adds up along the residual path starts smaller the more layers there are. */
    private static Init initial(Config c, String name, Init init) {
        if (name.endsWith("c_proj.weight")) {
            return Init.normal(c.deviation / Math.sqrt(2.0 * c.layers));
        }
        if (name.matches(".*(c_attn|c_fc|lm_head)\\.weight")) {
            return Init.normal(c.deviation);
        }
        return name.endsWith(".bias") ? Init.zeros() : init;
    }

    @Override
    protected Tensor enter(Tensor embedded, Tensor positions) {
        return embedded.add(Functional.embedding(positions, places.weight()));
    }

    private static final class Layer implements Block {
        private final LayerNorm ln1;
        private final Linear qkv;
        private final Linear output;
        private final LayerNorm ln2;
        private final Linear up;
        private final Linear down;
        private final Config config;

        Layer(Config c, Weights w) {
            ln1 = new LayerNorm(w.at("ln_1"), c.width, c.eps);
            qkv = new Linear(w.at("attn.c_attn"), c.width, 3L * c.width);
            output = new Linear(w.at("attn.c_proj"), c.width, c.width);
            ln2 = new LayerNorm(w.at("ln_2"), c.width, c.eps);
            up = new Linear(w.at("mlp.c_fc"), c.width, c.inner);
            down = new Linear(w.at("mlp.c_proj"), c.inner, c.width);
            config = c;
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            try (Scope s = Scope.open()) {
                Tensor h = x.add(output.forward(attend(ln1.forward(x), pass)));
                return s.keep(h.add(down.forward(config.activation.of(up.forward(ln2.forward(h))))));
            }
        }

        private Tensor attend(Tensor x, Pass pass) {
            List<Tensor> parts = qkv.forward(x).chunk(3, -1);
            Tensor q = Heads.split(parts.get(0), config.heads);
            Tensor k = Heads.split(parts.get(1), config.heads);
            Tensor v = Heads.split(parts.get(2), config.heads);
            return Heads.merge(pass.attend(q, k, v, config.scale(pass.block())));
        }
    }
}
