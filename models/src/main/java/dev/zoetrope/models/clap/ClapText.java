package dev.zoetrope.models.clap;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.bert.Bert;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;

/**
 * CLAP's tower of texts, arXiv:2211.06687: RoBERTa and a projection into the space shared with sound. Names as in
 * laion/clap-htsat-unfused and the text encoder of cvssp/audioldm.
 *
 * <p>Axes: B texts, T tokens, E width of the common space.
 */
public final class ClapText implements AutoCloseable {
    /**
     * @param pad id of padding; places count from the number behind it
     * @param projection E
     */
    public record Config(Bert.Config tower, int pad, int projection, Act projectionAct) {
        public static Config of(Json json) {
            Json j = json.isObject("text_config") ? json.at("text_config") : json;
            j.expect("position_embedding_type", "absolute");
            Bert.Config tower = new Bert.Config(
                    j.get("vocab_size", 50265),
                    j.get("hidden_size", 768),
                    j.get("intermediate_size", 3072),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("max_position_embeddings", 514),
                    j.get("type_vocab_size", 1),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-12));
            return new Config(
                    tower,
                    j.get("pad_token_id", 1),
                    json.get("projection_dim", 512),
                    j.get("projection_hidden_act", Act.RELU, Act::of));
        }
    }

    private final Weights weights;
    private final Config config;
    private final Bert tower;
    private final Linear first;
    private final Linear second;

    public ClapText(Config c, Weights w) {
        weights = w;
        config = c;
        tower = new Bert(c.tower, w.at("text_model"));
        first = new Linear(w.at("text_projection.linear1"), c.tower.hidden(), c.projection);
        second = new Linear(w.at("text_projection.linear2"), c.projection, c.projection);
        w.ignorable("text_model\\.embeddings\\.token_type_ids");
    }

    /** A tower, or the tower of a whole CLAP. */
    public static ClapText load(Path folder) {
        return Pretrained.load(folder, (json, w) -> {
            w.ignorable("audio_model\\..*|audio_projection\\..*|logit_scale_.*");
            return new ClapText(Config.of(json), w);
        });
    }

    /**
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]} INT64, 0 for padding
     * @return {@code [B, E]}, not of unit length
     */
    public Tensor embed(Tensor ids, Tensor mask) {
        try (Scope s = Scope.open()) {
            Tensor real = ids.ne((long) config.pad).to(ids.dtype());
            Tensor places = real.cumsum(1).mul(real).add((long) config.pad);
            List<Tensor> states = tower.hiddenStates(ids, null, mask, places);
            Tensor pooled = tower.pooled(states.get(states.size() - 1));
            return s.keep(second.forward(config.projectionAct.of(first.forward(pooled))));
        }
    }

    /** The same direction with length 1. */
    public static Tensor unit(Tensor x) {
        try (Scope s = Scope.open()) {
            return s.keep(x.div(x.norm(true, -1).clamp(1e-12, Double.POSITIVE_INFINITY)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
