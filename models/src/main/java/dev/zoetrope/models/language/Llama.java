package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * Llama, arXiv:2302.13971, and what shares its architecture: Vicuna, TinyLlama, MobileLLaMA, DeepSeek-LLM, Llama 3,
 * Mistral, and Qwen2 (arXiv:2407.10671), which has biases at queries, keys and values.
 *
 * <p>Axes: B rows, T tokens, D hidden_size.
 */
public final class Llama extends Decoder {
    /**
     * @param intermediate width inside the feed-forward layers
     * @param qkvBias of the projections to queries, keys and values
     * @param outputBias of the projection behind the attention
     * @param mlpBias of the feed-forward layers
     * @param tied whether the word table is also the output projection
     * @param deviation of the initial weights
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
            boolean qkvBias,
            boolean outputBias,
            boolean mlpBias,
            boolean tied,
            double deviation) {
        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(positions, "max_position_embeddings");
        }

        public static Config of(Json j) {
            if (j.has("sliding_window")) { // Mistral's first release
                throw j.unsupported("sliding_window", "null");
            }
            boolean bias = j.get("attention_bias", false);
            return of(j, 32000, 11008, 2048, bias, bias);
        }

        public static Config qwen2(Json j) {
            j.expect("use_sliding_window", false);
            return of(j, 151936, 22016, 32768, true, false);
        }

        private static Config of(
                Json j, int vocabulary, int intermediate, int absentPositions, boolean qkvBias, boolean outputBias) {
            int hidden = j.get("hidden_size", 4096);
            int heads = j.get("num_attention_heads", 32);
            int keyValueHeads = j.get("num_key_value_heads", heads);
            SelfAttention.Shape attention = j.has("head_dim")
                    ? new SelfAttention.Shape(hidden, heads, keyValueHeads, j.get("head_dim", 128))
                    : SelfAttention.Shape.of(hidden, heads, keyValueHeads);
            int positions = j.get("max_position_embeddings", absentPositions);
            return new Config(
                    j.get("vocab_size", vocabulary),
                    attention,
                    j.get("intermediate_size", intermediate),
                    j.get("num_hidden_layers", 32),
                    j.get("hidden_act", Act.SILU, Act::of),
                    positions,
                    j.get("rms_norm_eps", 1e-6),
                    Rope.of(j, attention.size(), 1, positions),
                    qkvBias,
                    outputBias,
                    j.get("mlp_bias", false),
                    j.get("tie_word_embeddings", false),
                    j.get("initializer_range", 0.02));
        }
    }

    public Llama(Config c, Weights w) {
        super(w, parts(c, w));
    }

    private static Parts parts(Config c, Weights published) {
        Weights w =
                published.initialised((name, init) -> name.endsWith("_proj.weight") ? Init.normal(c.deviation) : init);
        int hidden = c.attention.hidden();
        Weights table = w.at("model.embed_tokens");
        Embedding words = new Embedding(table, c.vocabularySize, hidden, Init.normal(c.deviation));
        List<Layer> layers = w.at("model.layers").stack(c.layers, l -> new Layer(c, l));
        RmsNorm norm = new RmsNorm(w.at("model.norm"), hidden, c.eps);
        Linear head = head(w, c.tied, table, words, false);
        w.ignorable("model\\.layers\\.\\d+\\.self_attn\\.rotary_emb\\.inv_freq"); // derived
        return new Parts(words, layers, norm, head, c.rope, c.positions);
    }

    private static final class Layer implements Block {
        private final RmsNorm inputNorm;
        private final SelfAttention attention;
        private final RmsNorm attentionNorm;
        private final GatedMlp mlp;

        Layer(Config c, Weights w) {
            int hidden = c.attention.hidden();
            inputNorm = new RmsNorm(w.at("input_layernorm"), hidden, c.eps);
            attention = new SelfAttention(c.attention, w.at("self_attn"), c.qkvBias, "o_proj", c.outputBias);
            attentionNorm = new RmsNorm(w.at("post_attention_layernorm"), hidden, c.eps);
            mlp = new GatedMlp(w.at("mlp"), hidden, c.intermediate, c.mlpBias, c.activation);
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            try (Scope s = Scope.open()) {
                Tensor h = x.add(attention.forward(inputNorm.forward(x), pass));
                return s.keep(h.add(mlp.forward(attentionNorm.forward(h))));
            }
        }
    }
}
