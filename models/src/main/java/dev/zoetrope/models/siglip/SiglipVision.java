package dev.zoetrope.models.siglip;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.PatchPositions;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * SigLIP's tower of pictures, arXiv:2303.15343, names as in google/siglip-so400m-patch14-384. It stands on its own as the
 * eye of vision-language models. There is no class token.
 *
 * <p>Axes: B pictures, H x W pixels, P patches, D hidden.
 */
public final class SiglipVision implements AutoCloseable {
    /**
     * @param image side of the pictures trained on, to which positions refer
     * @param patch side of a patch
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param head whether there is an attention-pooling head
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
            boolean head) {
        public Config {
            Check.positive(patch, "patch_size");
            Check.atMost(image, patch, "image_size", "patch_size");
            Check.positive(channels, "num_channels");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        /** Of a tower's own configuration, or of a whole SigLIP's. */
        public static Config of(Json json) {
            Json j = json.isObject("vision_config") ? json.at("vision_config") : json;
            return new Config(
                    j.get("image_size", 224),
                    j.get("patch_size", 16),
                    j.get("num_channels", 3),
                    j.get("hidden_size", 768),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("intermediate_size", 3072),
                    j.get("hidden_act", Act.GELU_TANH, Act::of),
                    j.get("layer_norm_eps", 1e-6),
                    j.get("vision_use_head", true));
        }

        PatchPositions positions() {
            return new PatchPositions(0, image / patch, image / patch);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv2d patches;
    private final Tensor positions;
    private final PreNormEncoder encoder;
    private final LayerNorm norm;
    private final @Nullable Head head;

    /** @param published where {@code vision_model} lies, or the tower itself in releases that do not say so */
    public SiglipVision(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(c, name, init));
        weights = published;
        config = c;
        Weights tower = w.has("embeddings.patch_embedding.weight") ? w : w.at("vision_model");
        Weights e = tower.at("embeddings");
        patches = Conv2d.patches(e.at("patch_embedding"), c.channels, c.hidden, c.patch);
        positions = e.tensor("position_embedding.weight", c.positions().size(), c.hidden);
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
        norm = new LayerNorm(tower.at("post_layernorm"), c.hidden, c.eps);
        head = c.head ? new Head(c, tower.at("head")) : null;
        w.ignorable("(vision_model\\.)?embeddings\\.position_ids");
    }

    /** Opens a tower, or the tower of a whole SigLIP. */
    public static SiglipVision load(Path folder) {
        return Pretrained.load(folder, (json, w) -> {
            w.ignorable("text_model\\..*|logit_scale|logit_bias");
            return new SiglipVision(Config.of(json), w);
        });
    }

    private static Init initial(Config c, String name, Init absent) {
        if (name.endsWith("position_embedding.weight")) {
            return Init.normal(Math.pow(c.hidden, -0.5));
        }
        if (name.endsWith("patch_embedding.weight")) {
            return Siglip.lecunNormal();
        }
        return Siglip.initial(name, absent);
    }

    public Config config() {
        return config;
    }

    /** How many blocks there are. */
    public int depth() {
        return encoder.depth();
    }

    /**
     * Patches with their positions. Pictures of another size than trained on get positions interpolated between the
     * learned ones; pixels that fill no whole patch are left out on the right and below.
     *
     * @param pixels {@code [B, 3, H, W]}, normalised as the model's processor does it
     * @return {@code [B, P, D]}
     */
    public Tensor embeddings(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, config.channels, -1, -1);
        long rows = pixels.size(2) / config.patch;
        long columns = pixels.size(3) / config.patch;
        Check.positive(Math.min(rows, columns), "number of whole patches of " + config.patch + " pixels");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).flatten(2).transpose(1, 2); // [B, P, D]
            return s.keep(x.add(config.positions().resized(positions, rows, columns)));
        }
    }

    /** What comes out of the last block, behind the last norm, {@code [B, 3, H, W] -> [B, P, D]}. */
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(norm.forward(hiddenState(pixels, -1)));
        }
    }

    /**
     * A hidden state, without the last norm; blocks behind it are not run.
     *
     * @param layer how many blocks it went through, 0 for what goes into the first; negative ones count from the end, -1
     *     for what comes out of the last
     * @return {@code [B, P, D]}
     */
    public Tensor hiddenState(Tensor pixels, int layer) {
        try (Scope s = Scope.open()) {
            return s.keep(encoder.forward(embeddings(pixels), encoder.depth(layer), null, false));
        }
    }

    /** What goes into the first block, then what comes out of each, without the last norm, {@code [B, P, D]}. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        return encoder.hiddenStates(embeddings(pixels), null, false);
    }

    /** The last norm of a hidden state, {@code [B, P, D]}. */
    public Tensor normalised(Tensor hidden) {
        return norm.forward(hidden);
    }

    /** One vector a picture by the pooling head, from {@link #forward}: {@code [B, P, D] -> [B, D]}. */
    public Tensor pooled(Tensor normalised) {
        if (head == null) {
            throw new UserError("this tower has no pooling head (vision_use_head is false): it has patches only");
        }
        return head.forward(normalised);
    }

    @Override
    public void close() {
        weights.close();
    }

    /** One learned query attends to all patches; a feed-forward layer follows. */
    private static final class Head {
        private final int heads;
        private final Tensor probe;
        private final Tensor inWeight;
        private final Tensor inBias;
        private final Linear out;
        private final LayerNorm norm;
        private final Linear up;
        private final Linear down;
        private final Act activation;

        Head(Config c, Weights w) {
            heads = c.heads;
            probe = w.tensor("probe", 1, 1, c.hidden);
            Weights a = w.at("attention"); // query, key and value in one
            inWeight = a.tensor("in_proj_weight", 3L * c.hidden, c.hidden);
            inBias = a.tensor("in_proj_bias", 3L * c.hidden);
            out = new Linear(a.at("out_proj"), c.hidden, c.hidden);
            norm = new LayerNorm(w.at("layernorm"), c.hidden, c.eps);
            up = new Linear(w.at("mlp.fc1"), c.hidden, c.intermediate);
            down = new Linear(w.at("mlp.fc2"), c.intermediate, c.hidden);
            activation = c.activation;
        }

        Tensor forward(Tensor patches) { // [B, P, D] -> [B, D]
            try (Scope s = Scope.open()) {
                List<Tensor> weight = inWeight.chunk(3, 0);
                List<Tensor> bias = inBias.chunk(3, 0);
                Tensor q = Functional.linear(probe, weight.get(0), bias.get(0)); // [1, 1, D]
                Tensor k = Functional.linear(patches, weight.get(1), bias.get(1)); // [B, P, D]
                Tensor v = Functional.linear(patches, weight.get(2), bias.get(2));
                Tensor each = q.expand(patches.size(0), 1, patches.size(2));
                Tensor a = Functional.attention(
                        Heads.split(each, heads), Heads.split(k, heads), Heads.split(v, heads), null, false, null);
                Tensor x = out.forward(Heads.merge(a)); // [B, 1, D]
                Tensor y = x.add(down.forward(activation.of(up.forward(norm.forward(x)))));
                return s.keep(y.select(1, 0));
            }
        }
    }
}
