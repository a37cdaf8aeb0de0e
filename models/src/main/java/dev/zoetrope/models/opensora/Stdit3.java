package dev.zoetrope.models.opensora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The transformer of Open-Sora 1.2, names as in hpcai-tech/OpenSora-STDiT-v3: blocks of space and of time in turn, each
 * with attention to the text. Frames that are given are told to be clean by a time of their own, 0.
 *
 * <p>Axes: B videos, C latent channels, O predicted channels, F x H x W latents, T x S patches (time, space), L text
 * tokens, D hidden size.
 */
public final class Stdit3 implements AutoCloseable {
    private static final double EPS = 1e-6;
    private static final int WAVES = 256;

    /**
     * @param side square root of the pixels trained on, to which positions refer
     * @param textLength tokens of the text that means none
     * @param patch frames, rows and columns of a patch
     * @param variance whether as many channels again follow the velocity
     */
    public record Config(
            int inChannels,
            int hidden,
            int depth,
            int heads,
            double mlpRatio,
            boolean variance,
            int captionSize,
            int textLength,
            boolean queryNorm,
            int side,
            List<Integer> patch) {
        public Config {
            Check.divides(heads, hidden, "num_heads", "hidden_size");
            Check.divides(4, hidden, "4", "hidden_size");
            Check.positive(depth, "depth");
            Check.equal(patch.size(), 3, "the number of lengths in patch_size", "that of axes");
        }

        public static Config of(Json j) {
            j.expect("skip_y_embedder", false);
            return new Config(
                    j.get("in_channels", 4),
                    j.get("hidden_size", 1152),
                    j.get("depth", 28),
                    j.get("num_heads", 16),
                    j.get("mlp_ratio", 4.0),
                    j.get("pred_sigma", true),
                    j.get("caption_channels", 4096),
                    j.get("model_max_length", 300),
                    j.get("qk_norm", true),
                    j.get("input_sq_size", 512),
                    java.util.Arrays.stream(j.get("patch_size", new int[] {1, 2, 2}))
                            .boxed()
                            .toList());
        }

        int outChannels() {
            return variance ? 2 * inChannels : inChannels;
        }

        private long patchSize() {
            return (long) patch.get(0) * patch.get(1) * patch.get(2);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv3d patches;
    private final Mlp time;
    private final Mlp rate;
    private final Linear modulation;
    private final Mlp caption;
    private final Tensor noText;
    private final Tensor frequencies;
    private final List<Block> spatial;
    private final List<Block> temporal;
    private final LayerNorm norm;
    private final Linear output;
    private final Tensor scaleShift;

    public Stdit3(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden;
        long[] patch = c.patch.stream().mapToLong(Integer::longValue).toArray();
        patches = new Conv3d(
                w.at("x_embedder.proj"), c.inChannels, d, patch, patch, new long[] {0, 0, 0}, Conv3d.Past.PADDED, true);
        time = embedder(w.at("t_embedder.mlp"), d);
        rate = embedder(w.at("fps_embedder.mlp"), d);
        modulation = new Linear(w.at("t_block.1"), d, 6L * d);
        caption = new Mlp(
                new Linear(w.at("y_embedder.y_proj.fc1"), c.captionSize, d),
                Act.GELU_TANH,
                new Linear(w.at("y_embedder.y_proj.fc2"), d, d));
        noText = w.buffer(
                "y_embedder.y_embedding", Init.normal(1 / Math.sqrt(c.captionSize)), c.textLength, c.captionSize);
        frequencies = w.tensor("rope.freqs", Stdit3::waves, d / c.heads / 2);
        spatial = w.at("spatial_blocks").stack(c.depth, at -> new Block(c, at, true));
        temporal = w.at("temporal_blocks").stack(c.depth, at -> new Block(c, at, false));
        norm = LayerNorm.plain(d, EPS);
        output = new Linear(w.at("final_layer.linear"), d, c.patchSize() * c.outChannels());
        scaleShift = w.tensor("final_layer.scale_shift_table", Init.normal(1 / Math.sqrt(d)), 2, d);
    }

    private static Mlp embedder(Weights w, int d) {
        return new Mlp(new Linear(w.at("0"), WAVES, d), Act.SILU, new Linear(w.at("2"), d, d));
    }

    private static Tensor waves(dev.zoetrope.tensor.RandomSource random, long... shape) {
        return Tensor.arange(shape[0])
                .to(DType.FLOAT32)
                .mul(-Math.log(10000) / shape[0])
                .exp();
    }

    public static Stdit3 load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Stdit3(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * What the network is told beside latents and time.
     *
     * @param text {@code [B, L, caption]}
     * @param textMask {@code [B, L]}, not 0 for real tokens
     * @param fps {@code [B]}, 120 for pictures
     * @param height of the video in pixels; of a batch the first counts
     * @param width in pixels
     */
    public record Condition(Tensor text, Tensor textMask, Tensor fps, double height, double width) {}

    /** The vectors that stand for no text, {@code [B, L, caption]}. */
    public Tensor noText(long batch) {
        return noText.unsqueeze(0).expand(batch, -1, -1);
    }

    /**
     * @param latents {@code [B, C, F, H, W]}
     * @param times {@code [B]}, 0 (video) to 1000 (noise)
     * @param made {@code [B, F]}, 0 for frames that are given clean; null where all are made
     * @return velocity towards the video, and what else is predicted, {@code [B, O, F, H, W]}
     */
    public Tensor forward(Tensor latents, Tensor times, Condition c, @Nullable Tensor made) {
        try (Scope s = Scope.open()) {
            Context context = context(latents, times, c, made);
            Tensor x = placed(latents, c);
            for (int i = 0; i < config.depth; i++) {
                x = replace(x, spatial.get(i).forward(x, context));
                x = replace(x, temporal.get(i).forward(x, context));
            }
            return s.keep(predict(x, context, latents));
        }
    }

    /** What comes out of the first block of space and the first of time, {@code [B, T, S, D]}. */
    public List<Tensor> firstBlocks(Tensor latents, Tensor times, Condition c) {
        try (Scope s = Scope.open()) {
            Context context = context(latents, times, c, null);
            Tensor x = s.keep(spatial.get(0).forward(placed(latents, c), context));
            return List.of(x, s.keep(temporal.get(0).forward(x, context)));
        }
    }

    private static Tensor replace(Tensor before, Tensor after) {
        before.close();
        return after;
    }

    /**
     * @param time of frames that are made, {@code [B, 1, D]}
     * @param given the time of frames that are given, like it; null where there are none
     * @param made BOOL {@code [B, T]}
     * @param modulation {@code [B, 1 or T, 1, 6, D]}
     * @param text {@code [B, L, D]}
     * @param textMask BOOL {@code [B, 1, 1, L]}
     */
    private record Context(
            Tensor time,
            @Nullable Tensor given,
            @Nullable Tensor made,
            Tensor modulation,
            Tensor text,
            Tensor textMask,
            Rotary rotary) {}

    private Context context(Tensor latents, Tensor times, Condition c, @Nullable Tensor made) {
        Tensor t = time(times, c.fps).unsqueeze(1); // [B, 1, D]
        Tensor each = t;
        @Nullable Tensor given = null;
        @Nullable Tensor isMade = null;
        if (made != null) {
            Check.equal(1, config.patch.get(0), "the frames of a patch where frames are given", "patch_size");
            given = time(Tensor.zeros(times.shape()), c.fps).unsqueeze(1);
            isMade = made.ne(0L);
            each = Tensor.where(isMade.unsqueeze(-1), t, given); // [B, T, D]
        }
        long frames = (latents.size(2) + config.patch.get(0) - 1) / config.patch.get(0);
        Tensor angles = Tensor.arange(frames).to(DType.FLOAT32).unsqueeze(1).mul(frequencies);
        return new Context(
                t,
                given,
                isMade,
                modulation.forward(each.silu()).unflatten(-1, 6, -1).unsqueeze(2),
                caption.forward(c.text),
                c.textMask.ne(0L).unsqueeze(1).unsqueeze(1),
                Rotary.of(angles));
    }

    /** {@code [B]} -> {@code [B, D]}. */
    private Tensor time(Tensor times, Tensor fps) {
        Timesteps waves = new Timesteps(WAVES, true, 0);
        return time.forward(waves.forward(times)).add(rate.forward(waves.forward(fps)));
    }

    /** Shift, scale and gate of attention, then of the feed-forward layer, {@code [B, 6, D]}. */
    public Tensor modulation(Tensor times, Tensor fps) {
        try (Scope s = Scope.open()) {
            return s.keep(modulation.forward(time(times, fps).silu()).unflatten(-1, 6, -1));
        }
    }

    /** Patches, {@code [B, T, S, D]}; what does not fill one is filled up with zeros. */
    public Tensor patches(Tensor latents) {
        Check.shape(latents.shape(), "latents", -1, config.inChannels, -1, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor full =
                    Functional.pad(latents, 0., 0, missing(latents, 4), 0, missing(latents, 3), 0, missing(latents, 2));
            return s.keep(patches.forward(full).permute(0, 2, 3, 4, 1).flatten(2, 3));
        }
    }

    private Tensor placed(Tensor latents, Condition c) {
        Tensor x = patches(latents);
        return x.add(positions(latents, c).to(x.dtype()));
    }

    private long missing(Tensor latents, int axis) {
        int p = config.patch.get(axis - 2);
        return (p - latents.size(axis) % p) % p;
    }

    /** Sines and cosines of a patch's column (first half) and row on a canvas of the video's size, {@code [S, D]}. */
    private Tensor positions(int rows, int columns, Condition c) {
        double scale = Math.sqrt(c.height * c.width) / config.side;
        double side = Math.rint(Math.sqrt((double) rows * columns));
        int half = config.hidden / 2;
        return Tensor.cat(
                        -1,
                        sines(columns, side / columns / scale, half)
                                .unsqueeze(0)
                                .expand(rows, columns, half),
                        sines(rows, side / rows / scale, half).unsqueeze(1).expand(rows, columns, half))
                .flatten(0, 1);
    }

    /** Positions of the patches of latents, {@code [S, D]}. */
    public Tensor positions(Tensor latents, Condition c) {
        int p = config.patch.get(1);
        int q = config.patch.get(2);
        try (Scope s = Scope.open()) {
            return s.keep(positions((int) (latents.size(3) + p - 1) / p, (int) (latents.size(4) + q - 1) / q, c));
        }
    }

    private static Tensor sines(int n, double step, int size) {
        Tensor frequencies = Tensor.arange(size / 2)
                .to(DType.FLOAT64)
                .mul(-2 * Math.log(10000) / size)
                .exp();
        Tensor angles =
                Tensor.arange(n).to(DType.FLOAT64).mul(step).unsqueeze(1).mul(frequencies);
        return Tensor.cat(-1, angles.sin(), angles.cos()).to(DType.FLOAT32);
    }

    private Tensor predict(Tensor x, Context c, Tensor latents) {
        List<Integer> p = config.patch;
        Tensor y = modulated(x, c.time);
        if (c.given != null && c.made != null) {
            // As published: given frames come out of what was modulated by the other frames' time already.
            y = Tensor.where(c.made.unsqueeze(-1).unsqueeze(-1), y, modulated(y, c.given));
        }
        long rows = (latents.size(3) + p.get(1) - 1) / p.get(1);
        return output.forward(y) // [B, T, S, p p p O]
                .unflatten(3, p.get(0), p.get(1), p.get(2), config.outChannels())
                .unflatten(2, rows, -1) // [B, T, h, w, p, p, p, O]
                .permute(0, 7, 1, 4, 2, 5, 3, 6)
                .flatten(6, 7)
                .flatten(4, 5)
                .flatten(2, 3)
                .narrow(2, 0, latents.size(2))
                .narrow(3, 0, latents.size(3))
                .narrow(4, 0, latents.size(4));
    }

    private Tensor modulated(Tensor x, Tensor time) {
        Tensor m = scaleShift.add(time.unsqueeze(2)); // [B, 1, 2, D]
        return norm.forward(x).mul(m.narrow(2, 1, 1).add(1)).add(m.narrow(2, 0, 1));
    }

    /** Attention within a frame or along time, to the text, and a feed-forward layer. {@code [B, T, S, D]}. */
    private static final class Block {
        private final boolean space;
        private final LayerNorm norm;
        private final Tensor scaleShift;
        private final Linear qkv;
        private final @Nullable RmsNorm queryNorm;
        private final @Nullable RmsNorm keyNorm;
        private final Linear out;
        private final Linear textQuery;
        private final Linear textKeyValue;
        private final Linear textOut;
        private final Mlp feed;
        private final int heads;

        Block(Config c, Weights w, boolean space) {
            int d = c.hidden();
            this.space = space;
            heads = c.heads();
            norm = LayerNorm.plain(d, EPS);
            scaleShift = w.tensor("scale_shift_table", Init.normal(1 / Math.sqrt(d)), 6, d);
            qkv = new Linear(w.at("attn.qkv"), d, 3L * d);
            queryNorm = c.queryNorm() ? new RmsNorm(w.at("attn.q_norm"), d / heads, EPS) : null;
            keyNorm = c.queryNorm() ? new RmsNorm(w.at("attn.k_norm"), d / heads, EPS) : null;
            out = new Linear(w.at("attn.proj"), d, d);
            textQuery = new Linear(w.at("cross_attn.q_linear"), d, d);
            textKeyValue = new Linear(w.at("cross_attn.kv_linear"), d, 2L * d);
            textOut = new Linear(w.at("cross_attn.proj"), d, d);
            long inner = (long) (d * c.mlpRatio());
            feed = new Mlp(new Linear(w.at("mlp.fc1"), d, inner), Act.GELU_TANH, new Linear(w.at("mlp.fc2"), inner, d));
        }

        Tensor forward(Tensor x, Context c) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = scaleShift.add(c.modulation()).unbind(3); // 6 x [B, 1 or T, 1, D]
                Tensor h = norm.forward(x).mul(m.get(1).add(1)).add(m.get(0));
                Tensor a = space
                        ? among(h.flatten(0, 1), null).unflatten(0, h.size(0), h.size(1))
                        : among(h.transpose(1, 2).flatten(0, 1), c.rotary())
                                .unflatten(0, h.size(0), h.size(2))
                                .transpose(1, 2);
                Tensor y = x.add(a.mul(m.get(2)));
                y = y.add(toText(y.flatten(1, 2), c).unflatten(1, x.size(1), x.size(2)));
                h = norm.forward(y).mul(m.get(4).add(1)).add(m.get(3));
                return s.keep(y.add(feed.forward(h).mul(m.get(5))));
            }
        }

        private Tensor among(Tensor h, @Nullable Rotary rotary) { // [rows, tokens, D]
            List<Tensor> m = qkv.forward(h).unflatten(-1, 3, heads, -1).unbind(2);
            Tensor q = m.get(0).transpose(1, 2); // [rows, heads, tokens, D / heads]
            Tensor k = m.get(1).transpose(1, 2);
            q = queryNorm == null ? q : queryNorm.forward(q);
            k = keyNorm == null ? k : keyNorm.forward(k);
            if (rotary != null) {
                q = rotary.neighbours(q);
                k = rotary.neighbours(k);
            }
            Tensor y = Functional.attention(q, k, m.get(2).transpose(1, 2), null, false, null);
            return out.forward(Heads.merge(y));
        }

        private Tensor toText(Tensor h, Context c) { // [B, T S, D]
            Tensor q = Heads.split(textQuery.forward(h), heads);
            List<Tensor> kv = textKeyValue.forward(c.text()).chunk(2, -1);
            Tensor k = Heads.split(kv.get(0), heads);
            Tensor v = Heads.split(kv.get(1), heads);
            return textOut.forward(Heads.merge(Functional.attention(q, k, v, c.textMask(), false, null)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
