package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The transformer of PixArt-alpha, arXiv:2310.00426: a DiT that reads its text by cross-attention and whose blocks share
 * one modulation by the time. Names as in PixArt-alpha/PixArt-XL-2-1024-MS.
 *
 * <p>Axes: B pictures, C latent channels, H x W rows and columns, N = (H / p) (W / p) patches, L text tokens, D hidden.
 */
public final class PixArtTransformer implements AutoCloseable {
    /**
     * @param side rows and columns of the latents trained on
     * @param outChannels twice the latent channels where the model predicts a variance beside the noise
     * @param contextChannels width of what cross-attention reads
     * @param reach by which the places are divided, {@code interpolation_scale}
     * @param conditions whether the picture's size and aspect ratio steer the model
     * @param captionChannels width of a text token before it is projected; 0 where it is not
     */
    public record Config(
            int side,
            int patch,
            int inChannels,
            int outChannels,
            int layers,
            int heads,
            int headSize,
            int contextChannels,
            boolean attentionBias,
            double eps,
            double reach,
            boolean conditions,
            int captionChannels) {
        private static final int LARGE = 128; // latents of pictures of 1024 x 1024

        public Config {
            Check.divides(patch, side, "patch_size", "sample_size");
            Check.positive(layers, "num_layers");
            long hidden = (long) heads * headSize;
            Check.divides(4, hidden, "4", "num_attention_heads * attention_head_dim");
            if (conditions) {
                Check.divides(3, hidden, "3", "num_attention_heads * attention_head_dim");
            }
            Check.positive(reach, "interpolation_scale");
        }

        public static Config of(Json j) {
            j.expect("norm_type", "ada_norm_single");
            j.expect("activation_fn", "gelu-approximate");
            j.expect("norm_elementwise_affine", false);
            j.expect("attention_type", "default");
            int side = j.get("sample_size", LARGE);
            return new Config(
                    side,
                    j.get("patch_size", 2),
                    j.get("in_channels", 4),
                    j.get("out_channels", 8),
                    j.get("num_layers", 28),
                    j.get("num_attention_heads", 16),
                    j.get("attention_head_dim", 72),
                    j.get("cross_attention_dim", 1152),
                    j.get("attention_bias", true),
                    j.get("norm_eps", 1e-6),
                    j.get("interpolation_scale", (double) Math.max(side / 64, 1)),
                    j.get("use_additional_conditions", side == LARGE),
                    j.get("caption_channels", 0));
        }

        public int hidden() {
            return heads * headSize;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Tensor scaleShift;
    private final Patches patches;
    private final List<Block> blocks;
    private final LayerNorm norm;
    private final Linear output;
    private final TimeEmbedding time;
    private final @Nullable TimeEmbedding resolution;
    private final @Nullable TimeEmbedding aspectRatio;
    private final Linear modulation;
    private final @Nullable TimeEmbedding caption;

    public PixArtTransformer(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden();
        scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 2, d);
        patches = new Patches(w.at("pos_embed"), c.inChannels, d, c.patch);
        blocks = w.at("transformer_blocks").stack(c.layers, at -> new Block(c, at));
        norm = Modulation.norm(d);
        output = new Linear(w.at("proj_out"), d, (long) c.patch * c.patch * c.outChannels);
        Weights e = w.at("adaln_single.emb");
        time = new TimeEmbedding(e.at("timestep_embedder"), TimeAndText.WAVES, d, Act.SILU);
        resolution = c.conditions ? size(e.at("resolution_embedder"), d) : null;
        aspectRatio = c.conditions ? size(e.at("aspect_ratio_embedder"), d) : null;
        modulation = new Linear(w.at("adaln_single.linear"), d, 6L * d);
        caption = c.captionChannels == 0
                ? null
                : new TimeEmbedding(w.at("caption_projection"), c.captionChannels, d, Act.GELU_TANH);
        w.ignorable("pos_embed\\.pos_embed|caption_projection\\.y_embedding");
    }

    private static TimeEmbedding size(Weights w, int hidden) {
        return new TimeEmbedding(w, TimeAndText.WAVES, hidden / 3, Act.SILU);
    }

    public static PixArtTransformer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new PixArtTransformer(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * What the network is asked.
     *
     * @param latents noisy, {@code [B, C, H, W]}; H and W multiples of p
     * @param timesteps {@code [B]}, 0 to 999
     * @param text {@code [B, L, captionChannels]}
     * @param mask {@code [B, L]}, 0 where a token is padding; null where none is
     * @param resolution height and width in pixels, {@code [B, 2]}, where the model reads them, else null
     * @param aspectRatio height / width, {@code [B, 1]}, where the model reads it, else null
     */
    public record Input(
            Tensor latents,
            Tensor timesteps,
            Tensor text,
            @Nullable Tensor mask,
            @Nullable Tensor resolution,
            @Nullable Tensor aspectRatio) {}

    /** Predicted noise, and what belongs to its variance, {@code [B, O, H, W]}. */
    public Tensor forward(Input in) {
        try (Scope s = Scope.open()) {
            Tensor time = embeddedTime(in); // [B, D]
            Tensor shared = modulation.forward(time.silu()); // [B, 6 D]
            Tensor text = caption(in.text);
            Tensor mask = mask(in);
            Tensor x = patches(in.latents);
            for (Block block : blocks) {
                x = s.replace(x, block.forward(x, shared, text, mask));
            }
            List<Tensor> m = scaleShift.unsqueeze(0).add(time.unsqueeze(1)).chunk(2, 1); // shift, scale
            Tensor y = output.forward(Modulation.apply(norm.forward(x), m.get(0), m.get(1)));
            return s.keep(patches.together(y, in.latents));
        }
    }

    /** The patches with their places, {@code [B, N, D]}. */
    public Tensor patches(Tensor latents) {
        try (Scope s = Scope.open()) {
            double range = (double) config.side / config.patch / config.reach;
            Tensor places = Patches.places(patches.rows(latents), patches.columns(latents), config.hidden(), range);
            return s.keep(Patches.placed(patches.forward(latents), places));
        }
    }

    /** Text tokens as cross-attention reads them, {@code [B, L, contextChannels]}. */
    public Tensor caption(Tensor text) {
        return caption == null ? text : caption.forward(text);
    }

    /** Shifts, scales and gates that all blocks share, {@code [B, 6 D]}. */
    public Tensor modulation(Input in) {
        try (Scope s = Scope.open()) {
            return s.keep(modulation.forward(embeddedTime(in).silu()));
        }
    }

    /** What comes out of each block, {@code [B, N, D]}. */
    public List<Tensor> hiddenStates(Input in) {
        List<Tensor> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor shared = modulation(in);
            Tensor text = caption(in.text);
            Tensor mask = mask(in);
            Tensor x = patches(in.latents);
            for (Block block : blocks) {
                x = s.keep(block.forward(x, shared, text, mask));
                r.add(x);
            }
        }
        return r;
    }

    private Tensor embeddedTime(Input in) {
        Tensor r = embed(time, in.timesteps);
        if (resolution == null || aspectRatio == null) {
            return r;
        }
        if (in.resolution == null || in.aspectRatio == null) {
            throw new UserError(
                    "resolution and aspect ratio are missing, which this model's " + "use_additional_conditions reads");
        }
        long pictures = in.latents.size(0);
        Tensor sizes = Tensor.cat(
                1,
                embed(resolution, in.resolution.flatten(0)).reshape(pictures, -1),
                embed(aspectRatio, in.aspectRatio.flatten(0)).reshape(pictures, -1)); // [B, D]
        return r.add(sizes);
    }

    private static Tensor embed(TimeEmbedding embedder, Tensor numbers) {
        return embedder.forward(TimeAndText.TIMESTEPS.forward(numbers));
    }

    /** Added to the scores, {@code [B, 1, 1, L]}: not infinite, so that a row of nothing but padding stays finite. */
    private static @Nullable Tensor mask(Input in) {
        return in.mask == null
                ? null
                : in.mask
                        .to(in.latents.dtype())
                        .rsub(1)
                        .mul(-10000.0)
                        .unsqueeze(1)
                        .unsqueeze(1);
    }

    /** Attention, cross-attention without norm or gate, feed-forward. */
    private static final class Block {
        private final Tensor scaleShift;
        private final LayerNorm norm;
        private final Attention attention;
        private final Attention cross;
        private final Mlp feed;

        Block(Config c, Weights w) {
            int d = c.hidden();
            scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 6, d);
            norm = LayerNorm.plain(d, c.eps);
            attention = attention(c, w.at("attn1"), d);
            cross = attention(c, w.at("attn2"), c.contextChannels);
            feed = Mlp.feedForward(w.at("ff"), d, 4L * d, Act.GELU_TANH);
        }

        private static Attention attention(Config c, Weights w, int context) {
            int d = c.hidden();
            return new Attention(
                    new Linear(w.at("to_q"), d, d, c.attentionBias),
                    new Linear(w.at("to_k"), context, d, c.attentionBias),
                    new Linear(w.at("to_v"), context, d, c.attentionBias),
                    new Linear(w.at("to_out.0"), d, d),
                    c.heads);
        }

        Tensor forward(Tensor x, Tensor shared, Tensor text, @Nullable Tensor mask) {
            try (Scope s = Scope.open()) {
                List<Tensor> m =
                        scaleShift.unsqueeze(0).add(shared.unflatten(1, 6, -1)).chunk(6, 1); // 6 x [B, 1, D]
                Tensor a = attention.forward(Modulation.apply(norm.forward(x), m.get(0), m.get(1)));
                x = x.add(a.mul(m.get(2)));
                x = x.add(cross.forward(x, text, mask, false));
                Tensor h = feed.forward(Modulation.apply(norm.forward(x), m.get(3), m.get(4)));
                return s.keep(x.add(h.mul(m.get(5))));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
