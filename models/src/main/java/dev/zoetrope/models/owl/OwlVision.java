package dev.zoetrope.models.owl;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.FusedAttention.Packing;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.PatchPositions;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.nn.PreNormEncoder.Mixing;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * The image tower of mPLUG-Owl, arXiv:2304.14178: CLIP's ViT-L/14 with one projection to queries, keys and values.
 *
 * <p>Axes: I pictures, H x W pixels, P patches, V hidden_size.
 */
public final class OwlVision {
    private static final PreNormEncoder.Names BLOCK = new PreNormEncoder.Names(
            "input_layernorm",
            Mixing.fused("self_attn.query_key_value", "self_attn.dense", Packing.HEADS),
            "post_attention_layernorm",
            "mlp.fc1",
            "mlp.fc2");

    /**
     * @param image side of the pictures trained on, to which positions refer
     * @param patch side of a patch
     * @param hidden V
     * @param intermediate width inside the feed-forward layers
     * @param deviation of the initial weights
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
            double deviation) {
        public Config {
            Check.positive(patch, "patch_size");
            Check.atMost(image, patch, "image_size", "patch_size");
            Check.positive(channels, "num_channels");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("image_size", 224),
                    j.get("patch_size", 14),
                    j.get("num_channels", 3),
                    j.get("hidden_size", 1024),
                    j.get("num_hidden_layers", 24),
                    j.get("num_attention_heads", 16),
                    j.get("intermediate_size", 4096),
                    j.get("hidden_act", Act.QUICK_GELU, Act::of),
                    j.get("layer_norm_eps", 1e-6),
                    j.get("initializer_range", 0.02));
        }

        PatchPositions positions() {
            return new PatchPositions(1, image / patch, image / patch);
        }
    }

    private final Config config;
    private final Tensor classToken;
    private final Conv2d patches;
    private final Tensor positions;
    private final LayerNorm before;
    private final PreNormEncoder encoder;
    private final LayerNorm after;

    public OwlVision(Config c, Weights published) {
        Weights w = published.initialised(Owl.initial(c.deviation));
        config = c;
        Weights e = w.at("embeddings");
        classToken = e.tensor("cls_token", 1, 1, c.hidden);
        patches = Conv2d.patches(e.at("patch_embed"), c.channels, c.hidden, c.patch, false);
        positions = e.tensor("position_embedding", 1, c.positions().size(), c.hidden);
        before = new LayerNorm(e.at("pre_layernorm"), c.hidden, c.eps);
        encoder = new PreNormEncoder(
                w.at("encoder.layers"), BLOCK, c.layers, c.hidden, c.heads, c.intermediate, c.activation, c.eps, true);
        after = new LayerNorm(w.at("post_layernorm"), c.hidden, c.eps);
        w.ignorable("embeddings\\.position_ids");
    }

    /**
     * Class token and patches with their positions, normalised. Pictures of another size than trained on get positions
     * interpolated between the learned ones.
     *
     * @param pixels {@code [I, 3, H, W]}
     * @return {@code [I, 1 + P, V]}
     */
    public Tensor embeddings(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, config.channels, -1, -1);
        long rows = pixels.size(2) / config.patch;
        long columns = pixels.size(3) / config.patch;
        Check.positive(Math.min(rows, columns), "number of whole patches of " + config.patch + " pixels");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).flatten(2).transpose(1, 2); // [I, P, V]
            Tensor all = Tensor.cat(1, classToken.expand(x.size(0), 1, config.hidden), x);
            Tensor places = config.positions().resized(positions.select(0, 0), rows, columns); // [1 + P, V]
            return s.keep(before.forward(all.add(places)));
        }
    }

    /** Features of pictures, {@code [I, 3, H, W] -> [I, 1 + P, V]}. */
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(after.forward(encoder.forward(embeddings(pixels))));
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [I, 1 + P, V]}; not yet normalised. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        return encoder.hiddenStates(embeddings(pixels), null, false);
    }

    /** What the attention of one block adds to a hidden state, {@code [I, 1 + P, V]}. */
    public Tensor attended(int block, Tensor hidden) {
        return encoder.attended(block, hidden);
    }

    /** The class token, which the release normalises a second time: {@code [I, 1 + P, V] -> [I, V]}. */
    public Tensor pooled(Tensor features) {
        return after.forward(features.select(1, 0));
    }

    public Config config() {
        return config;
    }
}
