package dev.zoetrope.models.latte;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Latte's transformer, arXiv:2401.03048, names as in the {@code transformer} of maxin-cn/Latte-1: blocks of space, which
 * see one frame and the text, and blocks of time, which see one place in all frames, in turn.
 *
 * <p>Axes: B videos, F frames, C latent channels, O predicted channels, H x W latent rows and columns, N patches of a
 * frame, L text tokens, D hidden size.
 */
public final class LatteTransformer implements AutoCloseable {
    private static final double OUTPUT_EPS = 1e-6;
    private static final int WAVES = 256;

    /**
     * @param side rows and columns of the latents trained on, to which positions refer
     * @param captionSize width of the text's vectors
     * @param frames of the videos trained on: it makes so many, or one
     */
    public record Config(
            int heads,
            int headSize,
            int inChannels,
            int outChannels,
            int layers,
            boolean attentionBias,
            int side,
            int patch,
            Act act,
            double eps,
            int captionSize,
            int frames) {
        public Config {
            Check.positive(heads, "num_attention_heads");
            Check.divides(4, (long) heads * headSize, "4", "num_attention_heads * attention_head_dim");
            Check.positive(inChannels, "in_channels");
            Check.positive(layers, "num_layers");
            Check.divides(patch, side, "patch_size", "sample_size");
            Check.positive(captionSize, "caption_channels");
            Check.positive(frames, "video_length");
            Check.oneOf(act, "activation_fn", Act.GELU_TANH, Act.GELU);
        }

        public static Config of(Json j) {
            j.expect("norm_type", "ada_norm_single");
            j.expect("norm_elementwise_affine", false);
            int heads = j.get("num_attention_heads", 16);
            int headSize = j.get("attention_head_dim", 72);
            if (j.get("cross_attention_dim", heads * headSize) != heads * headSize) {
                throw j.unsupported("cross_attention_dim", heads * headSize);
            }
            int channels = j.get("in_channels", 4);
            return new Config(
                    heads,
                    headSize,
                    channels,
                    j.get("out_channels", channels),
                    j.get("num_layers", 28),
                    j.get("attention_bias", true),
                    j.get("sample_size", 64),
                    j.get("patch_size", 2),
                    j.get("activation_fn", Act.GELU_TANH, Act::of),
                    j.get("norm_eps", 1e-6),
                    j.get("caption_channels", 4096),
                    j.get("video_length", 16));
        }

        /** Latte-1, 1.1 billion parameters, over latents of the given side. */
        public static Config published(int side) {
            return new Config(16, 72, 4, 8, 28, true, side, 2, Act.GELU_TANH, 1e-6, 4096, 16);
        }

        public int hidden() {
            return heads * headSize;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv2d patches;
    private final List<Block> spatial;
    private final List<Block> temporal;
    private final LayerNorm norm;
    private final Tensor scaleShift;
    private final Linear output;
    private final TimeEmbedding time;
    private final Linear modulation;
    private final Mlp caption;

    public LatteTransformer(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden();
        patches = Conv2d.patches(w.at("pos_embed.proj"), c.inChannels, d, c.patch);
        spatial = w.at("transformer_blocks").stack(c.layers, at -> new Block(c, at, true));
        temporal = w.at("temporal_transformer_blocks").stack(c.layers, at -> new Block(c, at, false));
        norm = LayerNorm.plain(d, OUTPUT_EPS);
        scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 2, d);
        output = new Linear(w.at("proj_out"), d, (long) c.patch * c.patch * c.outChannels);
        time = new TimeEmbedding(w.at("adaln_single.emb.timestep_embedder"), WAVES, d, Act.SILU);
        modulation = new Linear(w.at("adaln_single.linear"), d, 6L * d);
        caption = new Mlp(
                new Linear(w.at("caption_projection.linear_1"), c.captionSize, d),
                Act.GELU_TANH,
                new Linear(w.at("caption_projection.linear_2"), d, d));
        w.ignorable("pos_embed\\.pos_embed|temp_pos_embed");
    }

    public static LatteTransformer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new LatteTransformer(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * @param latents noisy, {@code [B, C, F, H, W]}
     * @param timesteps {@code [B]}, 0 to 999
     * @param words {@code [B, L, caption]}
     * @param alongTime whether the blocks of time take part; without them the frames are pictures of their own
     * @return predicted noise, and what belongs to its variance, {@code [B, O, F, H, W]}
     */
    public Tensor forward(Tensor latents, Tensor timesteps, Tensor words, boolean alongTime) {
        try (Scope s = Scope.open()) {
            Tensor text = caption(words);
            Tensor t = time(timesteps);
            Tensor m = modulation(t);
            Tensor x = patches(latents);
            for (int i = 0; i < config.layers; i++) {
                x = replace(x, spatial.get(i).forward(x, m, text));
                if (alongTime) {
                    x = i == 0 ? replace(x, ordered(x)) : x;
                    x = replace(x, temporal.get(i).forward(x, m, null));
                }
            }
            return s.keep(predict(x, t, latents));
        }
    }

    /** What comes out of the first block of space and the first of time, {@code [B, F, N, D]}. */
    public List<Tensor> firstBlocks(Tensor latents, Tensor timesteps, Tensor words) {
        try (Scope s = Scope.open()) {
            Tensor m = modulation(time(timesteps));
            Tensor x = s.keep(spatial.get(0).forward(patches(latents), m, caption(words)));
            return List.of(x, s.keep(temporal.get(0).forward(ordered(x), m, null)));
        }
    }

    private static Tensor replace(Tensor before, Tensor after) {
        if (before != after) {
            before.close();
        }
        return after;
    }

    /** {@code [B, L, D]}. */
    public Tensor caption(Tensor words) {
        return caption.forward(words);
    }

    private Tensor time(Tensor timesteps) { // [B, D]
        return time.forward(new Timesteps(WAVES, true, 0).forward(timesteps));
    }

    /** Shift, scale and gate of attention, then of the feed-forward layer, {@code [B, 6, D]}. */
    public Tensor modulationOf(Tensor timesteps) {
        try (Scope s = Scope.open()) {
            return s.keep(modulation(time(timesteps)));
        }
    }

    private Tensor modulation(Tensor time) {
        return modulation.forward(time.silu()).unflatten(1, 6, -1);
    }

    /** Patches with their places in the frame, {@code [B, F, N, D]}. */
    public Tensor patches(Tensor latents) {
        int p = config.patch;
        Check.shape(latents.shape(), "latents", -1, config.inChannels, -1, -1, -1);
        Check.divides(p, latents.size(3), "patch_size", "height of the latents");
        Check.divides(p, latents.size(4), "patch_size", "width of the latents");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(latents.transpose(1, 2).flatten(0, 1)) // [B F, D, H/p, W/p]
                    .flatten(2)
                    .transpose(1, 2)
                    .unflatten(0, latents.size(0), -1);
            Tensor place = positions((int) latents.size(3) / p, (int) latents.size(4) / p);
            return s.keep(x.add(place.to(x.dtype()).to(x.device())));
        }
    }

    /** With the place of each frame, which one frame alone has not. */
    private Tensor ordered(Tensor x) {
        long frames = x.size(1);
        if (frames == 1) {
            return x;
        }
        if (frames != config.frames) {
            throw new UserError(
                    "this model makes videos of " + config.frames + " frames, or pictures, not " + frames + " frames");
        }
        try (Scope s = Scope.open()) {
            Tensor places = sines(Tensor.arange(frames).to(DType.FLOAT64), config.hidden());
            return s.keep(x.add(places.unsqueeze(1).to(x.dtype()).to(x.device())));
        }
    }

    /** Sines and cosines of a patch's column (first half) and row, {@code [N, D]}, spread over the range trained on. */
    private Tensor positions(int rows, int columns) {
        int half = config.hidden() / 2;
        return Tensor.cat(
                        -1,
                        spread(columns, half).unsqueeze(0).expand(rows, columns, half),
                        spread(rows, half).unsqueeze(1).expand(rows, columns, half))
                .flatten(0, 1);
    }

    private Tensor spread(int n, int size) {
        double step = (double) (config.side / config.patch) / n / Math.max(1, config.side / 64);
        return sines(Tensor.arange(n).to(DType.FLOAT64).mul(step), size);
    }

    private static Tensor sines(Tensor places, int size) { // [n] -> [n, size]
        Tensor frequencies = Tensor.arange(size / 2)
                .to(DType.FLOAT64)
                .mul(-2 * Math.log(10000) / size)
                .exp();
        Tensor angles = places.unsqueeze(1).mul(frequencies);
        return Tensor.cat(-1, angles.sin(), angles.cos()).to(DType.FLOAT32);
    }

    private Tensor predict(Tensor x, Tensor time, Tensor latents) {
        int p = config.patch;
        List<Tensor> m = scaleShift.add(time.unsqueeze(1)).chunk(2, 1); // 2 x [B, 1, D]
        Tensor y =
                norm.forward(x).mul(m.get(1).unsqueeze(1).add(1)).add(m.get(0).unsqueeze(1));
        return output.forward(y) // [B, F, N, p p O]
                .unflatten(3, p, p, config.outChannels)
                .unflatten(2, latents.size(3) / p, latents.size(4) / p) // [B, F, H/p, W/p, p, p, O]
                .permute(0, 6, 1, 2, 4, 3, 5)
                .flatten(5, 6)
                .flatten(3, 4);
    }

    /** Attention within a frame and to the text, or along time; then a feed-forward layer. {@code [B, F, N, D]}. */
    private static final class Block {
        private final LayerNorm norm;
        private final Tensor scaleShift;
        private final Attention self;
        private final @Nullable Attention toText;
        private final Mlp feed;

        Block(Config c, Weights w, boolean space) {
            int d = c.hidden();
            norm = LayerNorm.plain(d, c.eps());
            scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 6, d);
            self = attention(c, w.at("attn1"));
            toText = space ? attention(c, w.at("attn2")) : null;
            feed = Mlp.feedForward(w.at("ff"), d, 4L * d, c.act());
        }

        private static Attention attention(Config c, Weights w) {
            return Attention.of(w, c.hidden(), c.heads(), c.attentionBias(), "to_q", "to_k", "to_v", "to_out.0");
        }

        Tensor forward(Tensor x, Tensor modulation, @Nullable Tensor text) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = scaleShift.add(modulation).unsqueeze(2).unbind(1).stream()
                        .map(t -> t.unsqueeze(1))
                        .toList(); // 6 x [B, 1, 1, D]
                Tensor h = norm.forward(x).mul(m.get(1).add(1)).add(m.get(0));
                Tensor y = x.add((toText == null ? alongTime(h) : inFrame(h)).mul(m.get(2)));
                if (toText != null && text != null) {
                    // Tokens of all frames ask the text at once: its keys are the same for every frame.
                    Tensor a = toText.forward(y.flatten(1, 2), text, null, false);
                    y = y.add(a.unflatten(1, x.size(1), x.size(2)));
                }
                h = norm.forward(y).mul(m.get(4).add(1)).add(m.get(3));
                return s.keep(y.add(feed.forward(h).mul(m.get(5))));
            }
        }

        private Tensor inFrame(Tensor h) {
            return self.forward(h.flatten(0, 1)).unflatten(0, h.size(0), h.size(1));
        }

        private Tensor alongTime(Tensor h) {
            Tensor places = h.transpose(1, 2).flatten(0, 1); // [B N, F, D]
            return self.forward(places).unflatten(0, h.size(0), h.size(2)).transpose(1, 2);
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
