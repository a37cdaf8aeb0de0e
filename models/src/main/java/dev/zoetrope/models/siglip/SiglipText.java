package dev.zoetrope.models.siglip;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;

/**
 * SigLIP's tower of texts, arXiv:2303.15343. Every token sees every other, padding included: texts are always filled up
 * to full length, and the last place stands for the text.
 *
 * <p>Axes: B texts, T tokens, D hidden.
 */
public final class SiglipText implements AutoCloseable {
    /**
     * @param vocabulary rows of the token table
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param positions tokens of a text, padding included
     * @param projection width of the space shared with pictures
     */
    public record Config(
            int vocabulary,
            int hidden,
            int layers,
            int heads,
            int intermediate,
            int positions,
            Act activation,
            double eps,
            int projection) {
        public Config {
            Check.positive(vocabulary, "vocab_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(positions, "max_position_embeddings");
            Check.positive(projection, "projection_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        /** Of a tower's own configuration, or of a whole SigLIP's. */
        public static Config of(Json json) {
            Json j = json.isObject("text_config") ? json.at("text_config") : json;
            int hidden = j.get("hidden_size", 768);
            return new Config(
                    j.get("vocab_size", 32000),
                    hidden,
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("intermediate_size", 3072),
                    j.get("max_position_embeddings", 64),
                    j.get("hidden_act", Act.GELU_TANH, Act::of),
                    j.get("layer_norm_eps", 1e-6),
                    j.get("projection_size", hidden));
        }
    }

    private final Weights weights;
    private final Config config;
    private final Embedding tokens;
    private final Embedding positions;
    private final PreNormEncoder encoder;
    private final LayerNorm norm;
    private final Linear head;

    /** @param published where {@code text_model} lies, or the tower itself in releases that do not say so */
    public SiglipText(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(c, name, init));
        weights = published;
        config = c;
        Weights tower = w.has("embeddings.token_embedding.weight") ? w : w.at("text_model");
        Weights e = tower.at("embeddings");
        tokens = new Embedding(e.at("token_embedding"), c.vocabulary, c.hidden);
        positions = new Embedding(e.at("position_embedding"), c.positions, c.hidden);
        encoder = new PreNormEncoder(
                tower.at("encoder.layers"),
                Siglip.BLOCK,
                c.layers,
                c.hidden,
                c.heads,
                c.intermediate,
                c.activation,
                c.eps,
                true);
        norm = new LayerNorm(tower.at("final_layer_norm"), c.hidden, c.eps);
        head = new Linear(tower.at("head"), c.hidden, c.projection);
        w.ignorable("(text_model\\.)?embeddings\\.position_ids");
    }

    /** Opens a tower, or the tower of a whole SigLIP. */
    public static SiglipText load(Path folder) {
        return Pretrained.load(folder, (json, w) -> {
            w.ignorable("vision_model\\..*|logit_scale|logit_bias");
            return new SiglipText(Config.of(json), w);
        });
    }

    private static Init initial(Config c, String name, Init absent) {
        if (name.contains("embeddings.")) {
            return Init.normal(Math.pow(c.hidden, -0.5));
        }
        return name.endsWith("head.weight") ? Siglip.lecunNormal() : Siglip.initial(name, absent);
    }

    public Config config() {
        return config;
    }

    /**
     * What comes out of the last block, behind the last norm.
     *
     * @param ids {@code [B, T]} INT64, padded to the length trained with
     * @return {@code [B, T, D]}
     */
    public Tensor forward(Tensor ids) {
        try (Scope s = Scope.open()) {
            return s.keep(norm.forward(encoder.forward(embeddings(ids))));
        }
    }

    /** What goes into the first block, then what comes out of each, without the last norm, {@code [B, T, D]}. */
    public List<Tensor> hiddenStates(Tensor ids) {
        return encoder.hiddenStates(embeddings(ids), null, false);
    }

    /** The last place in the space shared with pictures: {@code [B, T, D] -> [B, projection]}. */
    public Tensor pooled(Tensor normalised) {
        return head.forward(normalised.select(1, -1));
    }

    private Tensor embeddings(Tensor ids) { // [B, T] -> [B, T, D]
        Check.shape(ids.shape(), "input_ids", -1, -1);
        Check.atMost(config.positions, ids.size(1), "max_position_embeddings", "the number of tokens");
        try (Scope s = Scope.open()) {
            return s.keep(tokens.forward(ids).add(positions.weight().narrow(0, 0, ids.size(1))));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
