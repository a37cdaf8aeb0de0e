package dev.zoetrope.models.vae;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Autoencoder with a Gaussian posterior, arXiv:2112.10752, names as in stable-diffusion-v1-5/stable-diffusion-v1-5 (its
 * {@code vae}) and its kin up to SD3 and Flux, which lack the convolutions around the latents.
 *
 * <p>Axes: B pictures, H x W pixels, C latent channels, h x w latents, h = H / {@link Config#factor()}.
 */
public final class AutoencoderKl implements AutoCloseable {
    /**
     * @param sampleSize side of the pictures trained on
     * @param scalingFactor what diffusion multiplies latents with
     * @param shiftFactor what it subtracts from them before
     */
    public record Config(
            Backbone backbone,
            int sampleSize,
            double scalingFactor,
            double shiftFactor,
            boolean quantConv,
            boolean postQuantConv) {
        public static Config of(Json j) {
            for (String statistics : new String[] {"latents_mean", "latents_std"}) {
                if (j.has(statistics)) {
                    throw j.unsupported(statistics, "null: one scaling_factor and shift_factor for all channels");
                }
            }
            int sampleSize = j.pair("sample_size", 32)[0];
            Check.positive(sampleSize, "sample_size");
            return new Config(
                    Backbone.of(j, 4),
                    sampleSize,
                    j.get("scaling_factor", 0.18215),
                    j.get("shift_factor", 0.),
                    j.get("use_quant_conv", true),
                    j.get("use_post_quant_conv", true));
        }

        /** That of Stable Diffusion 1.x, 84 million parameters. */
        public static Config sd1() {
            return of(
                    Json.parse(
                            "Stable Diffusion 1.x",
                            """
                    {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 512,
                     "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
                                          "DownEncoderBlock2D"],
                     "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}
                    """));
        }

        public int latentChannels() {
            return backbone.latentChannels();
        }

        /** Channels of a picture that goes in. */
        public int inChannels() {
            return backbone.inChannels();
        }

        /** How many pixels a latent has in height and in width. */
        public int factor() {
            return backbone.factor();
        }

        /** Resolutions from pixels to latents, both included. */
        public int levels() {
            return backbone.channels().size();
        }

        /** Tiles of the size trained on, of which a quarter overlaps. */
        public Tiling tiling() {
            return Tiling.of(sampleSize, factor());
        }
    }

    private final Weights weights;
    private final Config config;
    private final Backbone.Half encoder;
    private final Backbone.Half decoder;
    private final @Nullable Conv2d quantConv;
    private final @Nullable Conv2d postQuantConv;

    public AutoencoderKl(Config c, Weights w) {
        int z = c.latentChannels();
        weights = w;
        config = c;
        encoder = c.backbone.encoder(w.at("encoder"), 2 * z);
        decoder = c.backbone.decoder(w.at("decoder"));
        quantConv = c.quantConv ? new Conv2d(w.at("quant_conv"), 2L * z, 2L * z, 1, 1, 0) : null;
        postQuantConv = c.postQuantConv ? new Conv2d(w.at("post_quant_conv"), z, z, 1, 1, 0) : null;
    }

    /** The folder of an autoencoder, such as {@code vae} of a pipeline. */
    public static AutoencoderKl load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new AutoencoderKl(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /** @param picture {@code [B, 3, H, W]} in -1..1 */
    public Posterior encode(Tensor picture) {
        config.backbone.checkPicture(picture);
        return Posterior.of(moments(picture));
    }

    /** In tiles, where the picture is larger than one. */
    public Posterior encode(Tensor picture, Tiling tiles) {
        config.backbone.checkPicture(picture);
        boolean fits = picture.size(2) <= tiles.pixels() && picture.size(3) <= tiles.pixels();
        return Posterior.of(fits ? moments(picture) : tiles.encode(picture, this::moments));
    }

    /**
     * @param z latents as a posterior has them: {@link Config#scalingFactor} and shift are undone already, {@code [B, C,
     *     h, w]}
     * @return {@code [B, 3, H, W]}, about -1..1
     */
    public Tensor decode(Tensor z) {
        Check.shape(z.shape(), "latents", -1, config.latentChannels(), -1, -1);
        try (Scope s = Scope.open()) {
            return s.keep(postQuantConv == null ? decoder.forward(z) : Steps.run(z, postQuantConv, decoder));
        }
    }

    /** In tiles, where the latents are larger than one. */
    public Tensor decode(Tensor z, Tiling tiles) {
        boolean fits = z.size(2) <= tiles.latents() && z.size(3) <= tiles.latents();
        return fits ? decode(z) : tiles.decode(z, this::decode);
    }

    /** What diffusion works on: {@code (z - shift) scale}. */
    public Tensor scaled(Tensor z) {
        try (Scope s = Scope.open()) {
            Tensor moved = config.shiftFactor == 0 ? z : z.sub(config.shiftFactor);
            return s.keep(moved.mul(config.scalingFactor));
        }
    }

    /** The way back of {@link #scaled}. */
    public Tensor unscaled(Tensor latents) {
        try (Scope s = Scope.open()) {
            Tensor z = latents.div(config.scalingFactor);
            return s.keep(config.shiftFactor == 0 ? z : z.add(config.shiftFactor));
        }
    }

    /**
     * Runs both halves for those who look inside: {@code encoder.conv_in, encoder.down_blocks.0, ..., decoder.conv_out},
     * each handed over right after it was made and freed at the end.
     */
    public void watch(Tensor picture, Tensor z, BiConsumer<String, Tensor> watch) {
        try (Scope s = Scope.open()) {
            encoder.forward(picture, (name, t) -> watch.accept("encoder." + name, t));
            Tensor inner = postQuantConv == null ? z : postQuantConv.forward(z);
            decoder.forward(inner, (name, t) -> watch.accept("decoder." + name, t));
        }
    }

    private Tensor moments(Tensor picture) { // [B, 3, H, W] -> [B, 2 C, h, w]
        try (Scope s = Scope.open()) {
            return s.keep(quantConv == null ? encoder.forward(picture) : Steps.run(picture, encoder, quantConv));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
