package dev.zoetrope.models.clip;

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
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * CLIP's tower of texts, arXiv:2103.00020: a causal transformer, names as in openai/clip-vit-base-patch32. It stands on
 * its own as the text encoder of Stable Diffusion.
 *
 * <p>Axes: B texts, T tokens, D hidden.
 */
public final class ClipText implements AutoCloseable {
    /** As {@code end}: a text ends at its largest id, whatever that is. Published configurations from before 2023 say so. */
    public static final int LARGEST_ID = 2;

    /**
     * @param vocabulary rows of the token table
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param positions the most tokens of a text
     * @param end id of the token whose state stands for the text; the first one counts; {@link #LARGEST_ID}
     * @param projection width of the space shared with pictures; 0 for a tower that ends without a projection
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
            int end,
            int projection) {
        public Config {
            Check.positive(vocabulary, "vocab_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.positive(positions, "max_position_embeddings");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        /** Of a tower's own configuration, or of a whole CLIP's, of which the tower is taken without its projection. */
        public static Config of(Json json) {
            if (json.isObject("text_config")) {
                return of(json.at("text_config"), 0);
            }
            boolean projects = json.get("architectures", List.of()).contains("CLIPTextModelWithProjection");
            return of(json, projects ? json.get("projection_dim", 512) : 0);
        }

        static Config of(Json j, int projection) {
            return new Config(
                    j.get("vocab_size", 49408),
                    j.get("hidden_size", 512),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 8),
                    j.get("intermediate_size", 2048),
                    j.get("max_position_embeddings", 77),
                    j.get("hidden_act", Act.QUICK_GELU, Act::of),
                    j.get("layer_norm_eps", 1e-5),
                    j.get("eos_token_id", 49407),
                    projection);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Embedding tokens;
    private final Embedding positions;
    private final PreNormEncoder encoder;
    private final LayerNorm norm;
    private final @Nullable Linear projection;

    /** @param published where {@code text_model} lies, or the tower itself in releases that do not say so */
    public ClipText(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(c, name, init));
        weights = published;
        config = c;
        Weights tower = w.has("embeddings.token_embedding.weight") ? w : w.at("text_model");
        Weights e = tower.at("embeddings");
        tokens = new Embedding(e.at("token_embedding"), c.vocabulary, c.hidden);
        positions = new Embedding(e.at("position_embedding"), c.positions, c.hidden);
        encoder = new PreNormEncoder(
                tower.at("encoder.layers"),
                Clip.BLOCK,
                c.layers,
                c.hidden,
                c.heads,
                c.intermediate,
                c.activation,
                c.eps,
                true);
        norm = new LayerNorm(tower.at("final_layer_norm"), c.hidden, c.eps);
        projection = c.projection == 0 ? null : new Linear(w.at("text_projection"), c.hidden, c.projection, false);
        w.ignorable("(text_model\\.)?embeddings\\.position_ids");
    }

    /** Opens a tower, or the tower of a whole CLIP. */
    public static ClipText load(Path folder) {
        return Pretrained.load(folder, (json, w) -> {
            w.ignorable("vision_model\\..*|text_projection\\.weight|visual_projection\\.weight|logit_scale");
            return new ClipText(Config.of(json), w);
        });
    }

    private static Init initial(Config c, String name, Init absent) {
        if (name.contains("text_projection")) {
            return Init.normal(Math.pow(c.hidden, -0.5));
        }
        return name.contains("embeddings.") ? Init.normal(0.02) : Clip.initial(name, c.hidden, c.layers, absent);
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /** How many blocks there are. */
    public int depth() {
        return encoder.depth();
    }

    /**
     * What comes out of the last block, behind the last norm.
     *
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]}, not 0 for real tokens; null where padding is to be seen as Stable Diffusion does: a
     *     token never sees what comes after it anyhow
     * @return {@code [B, T, D]}
     */
    public Tensor forward(Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            return s.keep(norm.forward(hiddenState(ids, mask, -1)));
        }
    }

    /**
     * A hidden state, without the last norm; blocks behind it are not run.
     *
     * @param layer how many blocks it went through, 0 for what goes into the first; negative ones count from the end, -1
     *     for what comes out of the last
     * @return {@code [B, T, D]}
     */
    public Tensor hiddenState(Tensor ids, @Nullable Tensor mask, int layer) {
        try (Scope s = Scope.open()) {
            return s.keep(encoder.forward(embeddings(ids), encoder.depth(layer), seen(ids, mask), mask == null));
        }
    }

    /** What goes into the first block, then what comes out of each, without the last norm, {@code [B, T, D]}. */
    public List<Tensor> hiddenStates(Tensor ids, @Nullable Tensor mask) {
        return encoder.hiddenStates(embeddings(ids), seen(ids, mask), mask == null);
    }

    /** The last norm of a hidden state, {@code [B, T, D]}. */
    public Tensor normalised(Tensor hidden) {
        return norm.forward(hidden);
    }

    /** The state where each text ends: {@code [B, T]}, {@link #normalised} {@code [B, T, D] -> [B, D]}. */
    public Tensor pooled(Tensor ids, Tensor normalised) {
        long[] all = ids.toLongs();
        int length = (int) ids.size(1);
        long[] rows = new long[(int) ids.size(0)];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = (long) i * length + end(all, i * length, length);
        }
        try (Scope s = Scope.open()) {
            Tensor index = Tensor.of(rows, rows.length).to(normalised.device());
            return s.keep(normalised.flatten(0, 1).indexSelect(0, index));
        }
    }

    private int end(long[] ids, int from, int length) {
        int best = 0;
        for (int i = 0; i < length; i++) {
            long id = ids[from + i];
            if (config.end == LARGEST_ID ? id > ids[from + best] : id == config.end) {
                best = i;
                if (config.end != LARGEST_ID) {
                    return best;
                }
            }
        }
        return best;
    }

    /** A text in the space shared with pictures, not of unit length: {@code [B, D] -> [B, projection]}. */
    public Tensor projected(Tensor pooled) {
        if (projection == null) {
            throw new UserError(
                    "this tower has no text_projection, so its texts cannot be held against pictures; use a "
                            + "whole CLIP or a CLIPTextModelWithProjection");
        }
        return projection.forward(pooled);
    }

    private Tensor embeddings(Tensor ids) { // [B, T] -> [B, T, D]
        Check.shape(ids.shape(), "input_ids", -1, -1);
        Check.atMost(config.positions, ids.size(1), "max_position_embeddings", "the number of tokens");
        try (Scope s = Scope.open()) {
            return s.keep(tokens.forward(ids).add(positions.weight().narrow(0, 0, ids.size(1))));
        }
    }

    /** Real tokens up to a token's own place, {@code [B, 1, T, T]}; null where all are real. */
    private static @Nullable Tensor seen(Tensor ids, @Nullable Tensor mask) {
        if (mask == null) {
            return null;
        }
        try (Scope s = Scope.open()) {
            long length = ids.size(1);
            Tensor past = Tensor.ones(length, length).tril(0).ne(0L).to(ids.device());
            return s.keep(past.and(mask.ne(0L).unsqueeze(1).unsqueeze(1)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
