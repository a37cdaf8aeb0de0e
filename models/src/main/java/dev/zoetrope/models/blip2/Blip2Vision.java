package dev.zoetrope.models.blip2;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
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
 * The image encoder of BLIP-2, EVA-CLIP's ViT-g/14 (arXiv:2211.07636) without its last block.
 *
 * <p>Axes: I pictures, H x W pixels, P patches, V hidden_size.
 */
public final class Blip2Vision {
    private static final PreNormEncoder.Names BLOCK = new PreNormEncoder.Names(
            "layer_norm1",
            Mixing.fused("self_attn.qkv", "self_attn.projection", Packing.BLOCKS),
            "layer_norm2",
            "mlp.fc1",
            "mlp.fc2");

    /**
     * @param image side of the pictures trained on, to which positions refer
     * @param patch side of a patch
     * @param hidden V
     * @param intermediate width inside the feed-forward layers
     */
    public record Config(
            int image,
            int patch,
            int hidden,
            int layers,
            int heads,
            int intermediate,
            Act activation,
            double eps,
            boolean qkvBias) {
        public Config {
            Check.positive(patch, "patch_size");
            Check.atMost(image, patch, "image_size", "patch_size");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("image_size", 224),
                    j.get("patch_size", 14),
                    j.get("hidden_size", 1408),
                    j.get("num_hidden_layers", 39),
                    j.get("num_attention_heads", 16),
                    j.get("intermediate_size", 6144),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-6),
                    j.get("qkv_bias", true));
        }

        PatchPositions positions() {
            return new PatchPositions(1, image / patch, image / patch);
        }
    }

    private final Config config;
    private final Tensor classEmbedding;
    private final Tensor positions;
    private final Conv2d patches;
    private final PreNormEncoder encoder;
    private final LayerNorm after;

    public Blip2Vision(Config c, Weights published) {
        Weights w = published.initialised(Blip2Vision::initial);
        config = c;
        Weights e = w.at("embeddings");
        classEmbedding = e.tensor("class_embedding", 1, 1, c.hidden);
        positions = e.tensor("position_embedding", 1, c.positions().size(), c.hidden);
        patches = Conv2d.patches(e.at("patch_embedding"), 3, c.hidden, c.patch);
        encoder = new PreNormEncoder(
                w.at("encoder.layers"),
                BLOCK,
                c.layers,
                c.hidden,
                c.heads,
                c.intermediate,
                c.activation,
                c.eps,
                c.qkvBias);
        after = new LayerNorm(w.at("post_layernorm"), c.hidden, c.eps);
    }

    private static Init initial(String name, Init absent) {
        boolean norm = name.contains("layer_norm") || name.contains("layernorm");
        return norm ? absent : name.endsWith(".bias") ? Init.zeros() : Init.truncatedNormal(0.02);
    }

    /**
     * Features of pictures. Those of another size than trained on get positions interpolated between the learned ones.
     *
     * @param pixels {@code [I, 3, H, W]}, normalised as the model's processor does it
     * @return {@code [I, 1 + P, V]}, the class token first
     */
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(after.forward(encoder.forward(embeddings(pixels))));
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [I, 1 + P, V]}; not yet normalised. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        return encoder.hiddenStates(embeddings(pixels), null, false);
    }

    private Tensor embeddings(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, 3, -1, -1);
        long rows = pixels.size(2) / config.patch;
        long columns = pixels.size(3) / config.patch;
        Check.positive(Math.min(rows, columns), "number of whole patches of " + config.patch + " pixels");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).flatten(2).transpose(1, 2); // [I, P, V]
            Tensor first = classEmbedding.expand(x.size(0), 1, config.hidden);
            Tensor places = config.positions().resized(positions.select(0, 0), rows, columns); // [1 + P, V]
            return s.keep(Tensor.cat(1, first, x).add(places));
        }
    }

    public Config config() {
        return config;
    }
}
