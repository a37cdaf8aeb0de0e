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
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * Phi 1.5 and 2, arXiv:2309.05463 (microsoft/phi-2): attention and feed-forward side by side from one norm, and only the
 * first features of a head turn with the position.
 *
 * <p>Axes: B rows, T tokens, D hidden_size.
 */
public final class Phi extends Decoder {
    /**
     * @param headNorms whether queries and keys are normalised
     * @param headBias of the output projection, which LLaVA's releases lack
     */
    public record Config(
            int vocabularySize,
            SelfAttention.Shape attention,
            int intermediate,
            int layers,
            Act activation,
            int positions,
            double eps,
            Rope rope,
            boolean headNorms,
            boolean headBias,
            boolean tied,
            double deviation) {
        private static final double TURNING = 0.5; // of a head's features, where the configuration does not say

        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(positions, "max_position_embeddings");
        }

        public static Config of(Json j) {
            int heads = j.get("num_attention_heads", 32);
            SelfAttention.Shape attention =
                    SelfAttention.Shape.of(j.get("hidden_size", 2048), heads, j.get("num_key_value_heads", heads));
            int positions = j.get("max_position_embeddings", 2048);
            return new Config(
                    j.get("vocab_size", 51200),
                    attention,
                    j.get("intermediate_size", 8192),
                    j.get("num_hidden_layers", 24),
                    j.get("hidden_act", Act.GELU_TANH, Act::of),
                    positions,
                    j.get("layer_norm_eps", 1e-5),
                    Rope.of(j, attention.size(), TURNING, positions),
                    j.get("qk_layernorm", false),
                    true,
                    j.get("tie_word_embeddings", false),
                    j.get("initializer_range", 0.02));
        }

        /** The same with a head that has no bias. */
        public Config withoutHeadBias() {
            return new Config(
                    vocabularySize,
                    attention,
                    intermediate,
                    layers,
                    activation,
                    positions,
                    eps,
                    rope,
                    headNorms,
                    false,
                    tied,
                    deviation);
        }
    }

    public Phi(Config c, Weights w) {
        super(w, parts(c, w));
    }

    private static Parts parts(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(c, name, init));
        int hidden = c.attention.hidden();
        Weights table = w.at("model.embed_tokens");
        Embedding words = new Embedding(table, c.vocabularySize, hidden, Init.normal(c.deviation));
        List<Layer> layers = w.at("model.layers").stack(c.layers, l -> new Layer(c, l));
        LayerNorm norm = new LayerNorm(w.at("model.final_layernorm"), hidden, c.eps);
        Linear head = head(w, c.tied, table, words, c.headBias);
        w.ignorable("model\\.layers\\.\\d+\\.self_attn\\.rotary_emb\\.inv_freq"); // derived
        return new Parts(words, layers, norm, head, c.rope, c.positions);
    }

    private static Init initial(Config c, String name, Init init) {
        if (name.matches(".*(_proj|dense|fc1|fc2|lm_head)\\.weight")) {
            return Init.normal(c.deviation);
        }
        return name.endsWith(".bias") ? Init.zeros() : init;
    }

    private static final class Layer implements Block {
        private final LayerNorm norm;
        private final SelfAttention attention;
        private final Linear fc1;
        private final Linear fc2;
        private final Act act;

        Layer(Config c, Weights w) {
            int hidden = c.attention.hidden();
            norm = new LayerNorm(w.at("input_layernorm"), hidden, c.eps);
            Weights a = w.at("self_attn");
            attention = new SelfAttention(
                    c.attention, a, true, "dense", true, headNorm(c, a, "q_layernorm"), headNorm(c, a, "k_layernorm"));
            fc1 = new Linear(w.at("mlp.fc1"), hidden, c.intermediate);
            fc2 = new Linear(w.at("mlp.fc2"), c.intermediate, hidden);
            act = c.activation;
        }

        private static Module headNorm(Config c, Weights w, String name) {
            return c.headNorms ? new LayerNorm(w.at(name), c.attention.size(), c.eps) : x -> x;
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            try (Scope s = Scope.open()) {
                Tensor h = norm.forward(x);
                Tensor mlp = fc2.forward(act.of(fc1.forward(h)));
                return s.keep(attention.forward(h, pass).add(mlp).add(x));
            }
        }
    }
}
