package dev.zoetrope.models.vae;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.Codebook;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;

/**
 * Autoencoder with a codebook, arXiv:2012.09841, names as in CompVis/ldm-super-resolution-4x-openimages (its
 * {@code vqvae}).
 *
 * <p>Axes: B pictures, H x W pixels, E width of a code, h x w codes, h = H / {@link Config#factor()}.
 */
public final class VqModel implements AutoCloseable {
    /**
     * @param codes entries of the codebook
     * @param codeWidth E
     * @param scalingFactor what diffusion multiplies latents with
     */
    public record Config(Backbone backbone, int codes, int codeWidth, double scalingFactor) {
        public Config {
            Check.positive(codes, "num_vq_embeddings");
            Check.positive(codeWidth, "vq_embed_dim");
        }

        public static Config of(Json j) {
            j.expect("norm_type", "group");
            j.expect("lookup_from_codebook", false);
            Backbone backbone = Backbone.of(j, 3);
            return new Config(
                    backbone,
                    j.get("num_vq_embeddings", 256),
                    j.get("vq_embed_dim", backbone.latentChannels()),
                    j.get("scaling_factor", 0.18215));
        }

        /** How many pixels a code has in height and in width. */
        public int factor() {
            return backbone.factor();
        }
    }

    /**
     * @param latents the nearest codes, {@code [B, E, h, w]}
     * @param indices their places in the codebook, {@code [B, h, w]} INT64
     */
    public record Quantized(Tensor latents, Tensor indices) {}

    private final Weights weights;
    private final Config config;
    private final Backbone.Half encoder;
    private final Conv2d quantConv;
    private final Tensor codebook;
    private final Conv2d postQuantConv;
    private final Backbone.Half decoder;

    public VqModel(Config c, Weights w) {
        int z = c.backbone.latentChannels();
        weights = w;
        config = c;
        encoder = c.backbone.encoder(w.at("encoder"), z);
        quantConv = new Conv2d(w.at("quant_conv"), z, c.codeWidth, 1, 1, 0);
        codebook = w.tensor("quantize.embedding.weight", Init.uniform(1.0 / c.codes), c.codes, c.codeWidth);
        postQuantConv = new Conv2d(w.at("post_quant_conv"), c.codeWidth, z, 1, 1, 0);
        decoder = c.backbone.decoder(w.at("decoder"));
    }

    /** The folder of an autoencoder, such as {@code vqvae} of a pipeline. */
    public static VqModel load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new VqModel(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * @param picture {@code [B, 3, H, W]} in -1..1
     * @return latents before they are quantised, {@code [B, E, h, w]}
     */
    public Tensor encode(Tensor picture) {
        config.backbone.checkPicture(picture);
        try (Scope s = Scope.open()) {
            return s.keep(Steps.run(picture, encoder, quantConv));
        }
    }

    /** The code nearest to each latent by Euclid's distance; of two equally near the first. */
    public Quantized quantize(Tensor latents) {
        Check.shape(latents.shape(), "latents", -1, config.codeWidth, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor index = Codebook.nearest(latents.permute(0, 2, 3, 1), codebook);
            Tensor nearest =
                    Functional.embedding(index, codebook).permute(0, 3, 1, 2).contiguous();
            return new Quantized(s.keep(nearest), s.keep(index));
        }
    }

    /** From latents, which are quantised first: {@code [B, E, h, w] -> [B, 3, H, W]}, about -1..1. */
    public Tensor decode(Tensor latents) {
        try (Scope s = Scope.open()) {
            return s.keep(decodeQuantized(quantize(latents).latents()));
        }
    }

    /** From latents as they are. */
    public Tensor decodeQuantized(Tensor latents) {
        try (Scope s = Scope.open()) {
            return s.keep(Steps.run(latents, postQuantConv, decoder));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
