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
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * StableLM, arXiv:2402.17834 (stabilityai/stablelm-2-zephyr-1_6b, stablelm-2-12b): Llama's block with layer norms, of
 * which only some of a head's features turn; the 12B variant has attention and feed-forward side by side and a norm for
 * each head.
 *
 * <p>Axes: B rows, T tokens, D hidden_size, H heads, E width of a head.
 */
public final class StableLm extends Decoder {
    /**
     * @param headNorms whether each head of queries and keys is normalised
     * @param parallel whether feed-forward stands beside attention instead of behind it
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
            boolean headNorms,
            boolean parallel,
            boolean tied,
            double deviation) {
        private static final double TURNING = 0.25; // of a head's features, where the configuration does not say

        public Config {
            Check.positive(vocabularySize, "vocab_size");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(positions, "max_position_embeddings");
        }

        public static Config of(Json j) {
            int heads = j.get("num_attention_heads", 32);
            SelfAttention.Shape attention =
                    SelfAttention.Shape.of(j.get("hidden_size", 2560), heads, j.get("num_key_value_heads", heads));
            int positions = j.get("max_position_embeddings", 4096);
            return new Config(
                    j.get("vocab_size", 50304),
                    attention,
                    j.get("intermediate_size", 6912),
                    j.get("num_hidden_layers", 32),
                    j.get("hidden_act", Act.SILU, Act::of),
                    positions,
                    j.get("layer_norm_eps", j.get("norm_eps", 1e-5)), // the first releases said norm_eps
                    Rope.of(j, attention.size(), j.get("rope_pct", TURNING), positions),
                    j.get("use_qkv_bias", false),
                    j.get("qk_layernorm", false),
                    j.get("use_parallel_residual", false),
                    j.get("tie_word_embeddings", false),
                    j.get("initializer_range", 0.02));
        }
    }

    public StableLm(Config c, Weights w) {
        super(w, parts(c, w));
    }

    private static Parts parts(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> name.endsWith("_proj.weight")
                ? Init.normal(c.deviation)
                : name.endsWith("_proj.bias") ? Init.zeros() : init);
        int hidden = c.attention.hidden();
        Weights table = w.at("model.embed_tokens");
        Embedding words = new Embedding(table, c.vocabularySize, hidden, Init.normal(c.deviation));
        List<Layer> layers = w.at("model.layers").stack(c.layers, l -> new Layer(c, l));
        LayerNorm norm = new LayerNorm(w.at("model.norm"), hidden, c.eps);
        Linear head = head(w, c.tied, table, words, false);
        w.ignorable("model\\.layers\\.\\d+\\.self_attn\\.rotary_emb\\.inv_freq"); // derived
        return new Parts(words, layers, norm, head, c.rope, c.positions);
    }

    private static final class Layer implements Block {
        private final LayerNorm inputNorm;
        private final SelfAttention attention;
        private final @Nullable LayerNorm attentionNorm; // where the feed-forward layer stands behind
        private final GatedMlp mlp;

        Layer(Config c, Weights w) {
            int hidden = c.attention.hidden();
            inputNorm = new LayerNorm(w.at("input_layernorm"), hidden, c.eps);
            Weights a = w.at("self_attn");
            Module asItIs = x -> x;
            attention = new SelfAttention(
                    c.attention,
                    a,
                    c.qkvBias,
                    "o_proj",
                    false,
                    c.headNorms ? new HeadNorms(c, a.at("q_layernorm.norms"), c.attention.heads()) : asItIs,
                    c.headNorms ? new HeadNorms(c, a.at("k_layernorm.norms"), c.attention.keyValueHeads()) : asItIs);
            attentionNorm = c.parallel ? null : new LayerNorm(w.at("post_attention_layernorm"), hidden, c.eps);
            mlp = new GatedMlp(w.at("mlp"), hidden, c.intermediate, false, c.activation);
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            try (Scope s = Scope.open()) {
                Tensor h = inputNorm.forward(x);
                Tensor attended = x.add(attention.forward(h, pass));
                Tensor inner = attentionNorm == null ? h : attentionNorm.forward(attended);
                return s.keep(attended.add(mlp.forward(inner)));
            }
        }
    }

    /** A norm for each head, {@code [B, H, T, E]}: without mean and deviation they differ only in their scales. */
    private static final class HeadNorms implements Module {
        private final List<Tensor> scales = new ArrayList<>(); // H of [E]
        private final LayerNorm plain;

        HeadNorms(Config c, Weights w, int heads) {
            for (int i = 0; i < heads; i++) {
                scales.add(w.at(i).tensor("weight", Init.ones(), c.attention.size()));
            }
            plain = LayerNorm.plain(c.attention.size(), c.eps);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                return s.keep(plain.forward(x).mul(Tensor.stack(0, scales).unsqueeze(1)));
            }
        }
    }
}
