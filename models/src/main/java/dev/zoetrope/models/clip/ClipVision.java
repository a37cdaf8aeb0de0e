package dev.zoetrope.models.clip;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.PatchPositions;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * CLIP's tower of pictures, arXiv:2103.00020, names as in openai/clip-vit-large-patch14-336. It stands on its own as the
 * eye of vision-language models, which take a hidden state near the end.
 *
 * <p>Axes: B pictures, H x W pixels, P patches, D hidden.
 */
public final class ClipVision implements AutoCloseable {
    /**
     * @param image side of the pictures trained on, to which positions refer
     * @param patch side of a patch
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param projection width of the space shared with texts; 0 for a tower that ends without a projection
     */
    public record Config(
            int image,
            int patch,
            int channels,
            int hidden,
            int layers,
            int heads,
            int intermediate,
            Act activation,
            double eps,
            int projection) {
        public Config {
            Check.positive(patch, "patch_size");
            Check.atMost(image, patch, "image_size", "patch_size");
            Check.positive(channels, "num_channels");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        /** Of a tower's own configuration, or of a whole CLIP's, of which the tower is taken without its projection. */
        public static Config of(Json json) {
            if (json.isObject("vision_config")) {
                return of(json.at("vision_config"), 0);
            }
            boolean projects = json.get("architectures", List.of()).contains("CLIPVisionModelWithProjection");
            return of(json, projects ? json.get("projection_dim", 512) : 0);
        }

        static Config of(Json j, int projection) {
            return new Config(
                    j.get("image_size", 224),
                    j.get("patch_size", 32),
                    j.get("num_channels", 3),
                    j.get("hidden_size", 768),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("intermediate_size", 3072),
                    j.get("hidden_act", Act.QUICK_GELU, Act::of),
                    j.get("layer_norm_eps", 1e-5),
                    projection);
        }

        PatchPositions positions() {
            return new PatchPositions(1, image / patch, image / patch);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Tensor classEmbedding;
    private final Conv2d patches;
    private final Tensor positions;
    private final LayerNorm before;
    private final PreNormEncoder encoder;
    private final LayerNorm after;
    private final @Nullable Linear projection;

    /** @param published where {@code vision_model} lies, or the tower itself in releases that do not say so */
    public ClipVision(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(c, name, init));
        weights = published;
        config = c;
        Weights tower = w.has("embeddings.class_embedding") ? w : w.at("vision_model");
        Weights e = tower.at("embeddings");
        classEmbedding = e.tensor("class_embedding", c.hidden);
        patches = Conv2d.patches(e.at("patch_embedding"), c.channels, c.hidden, c.patch, false);
        positions = e.tensor("position_embedding.weight", c.positions().size(), c.hidden);
        before = new LayerNorm(tower.at("pre_layrnorm"), c.hidden, c.eps); // spelled so in every release
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
        after = new LayerNorm(tower.at("post_layernorm"), c.hidden, c.eps);
        projection = c.projection == 0 ? null : new Linear(w.at("visual_projection"), c.hidden, c.projection, false);
        w.ignorable("(vision_model\\.)?embeddings\\.position_ids");
    }

    /** Opens a tower, or the tower of a whole CLIP. */
    public static ClipVision load(Path folder) {
        return Pretrained.load(folder, (json, w) -> {
            w.ignorable("text_model\\..*|text_projection\\.weight|visual_projection\\.weight|logit_scale");
            return new ClipVision(Config.of(json), w);
        });
    }

    private static Init initial(Config c, String name, Init absent) {
        if (name.endsWith("class_embedding") || name.contains("visual_projection")) {
            return Init.normal(Math.pow(c.hidden, -0.5));
        }
        return name.contains("embeddings.") ? Init.normal(0.02) : Clip.initial(name, c.hidden, c.layers, absent);
    }

    public Config config() {
        return config;
    }

    /** How many blocks there are. */
    public int depth() {
        return encoder.depth();
    }

    /**
     * Class and patches with their positions. Pictures of another size than trained on get positions interpolated between
     * the learned ones.
     *
     * @param pixels {@code [B, 3, H, W]}, normalised as the model's processor does it
     * @return {@code [B, 1 + P, D]}
     */
    public Tensor embeddings(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, config.channels, -1, -1);
        long rows = pixels.size(2) / config.patch;
        long columns = pixels.size(3) / config.patch;
        Check.positive(Math.min(rows, columns), "number of whole patches of " + config.patch + " pixels");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).flatten(2).transpose(1, 2); // [B, P, D]
            Tensor first = classEmbedding.expand(x.size(0), 1, config.hidden);
            return s.keep(Tensor.cat(1, first, x).add(config.positions().resized(positions, rows, columns)));
        }
    }

    /** What comes out of the last block, before the last norm, {@code [B, 3, H, W] -> [B, 1 + P, D]}. */
    public Tensor forward(Tensor pixels) {
        return hiddenState(pixels, -1);
    }

    /**
     * A hidden state; blocks behind it are not run.
     *
     * @param layer how many blocks it went through, 0 for what goes into the first; negative ones count from the end, -1
     *     for what comes out of the last
     * @return {@code [B, 1 + P, D]}, the class token first
     */
    public Tensor hiddenState(Tensor pixels, int layer) {
        try (Scope s = Scope.open()) {
            Tensor x = before.forward(embeddings(pixels));
            return s.keep(encoder.forward(x, encoder.depth(layer), null, false));
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [B, 1 + P, D]}. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        return encoder.hiddenStates(before.forward(embeddings(pixels)), null, false);
    }

    /** The class token behind the last norm: {@code [B, 1 + P, D] -> [B, D]}. */
    public Tensor pooled(Tensor hidden) {
        try (Scope s = Scope.open()) {
            return s.keep(after.forward(hidden.select(1, 0)));
        }
    }

    /** A picture in the space shared with texts, not of unit length: {@code [B, D] -> [B, projection]}. */
    public Tensor projected(Tensor pooled) {
        if (projection == null) {
            throw new UserError("this tower has no visual_projection, so its pictures cannot be held against texts; "
                    + "use a whole CLIP or a CLIPVisionModelWithProjection");
        }
        return projection.forward(pooled);
    }

    @Override
    public void close() {
        weights.close();
    }
}
