package dev.zoetrope.models.cogvideox;

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
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The expert transformer of CogVideoX, arXiv:2408.06072: text and video tokens attend to each other, each kind with its
 * own modulation. Names as in the {@code transformer} of THUDM/CogVideoX-2b, -5b, -5b-I2V and CogVideoX1.5-5B(-I2V).
 *
 * <p>Axes: B videos, F latent frames, C latent channels, O predicted channels, H x W latent rows and columns, L text
 * tokens, p and q a patch's side and frames, N = (F / q) (H / p) (W / p) video tokens, D hidden size, E time embedding.
 */
public final class CogVideoXTransformer implements AutoCloseable {
    private static final double QUERY_EPS = 1e-6;

    /** How a token knows its place. */
    public enum Positions {
        /** Waves of frame, row and column, added once (2B). */
        WAVES,
        /** Turned queries and keys (5B, 1.5). */
        ROTARY,
        /** Turned, and a stored table added once: one size only (5B image to video). */
        ROTARY_AND_TABLE
    }

    /**
     * @param patch p
     * @param patchFrames q; 0 where a patch has one frame and is embedded as a picture's
     * @param sampleWidth columns of the latents trained on
     * @param sampleHeight rows of the latents trained on
     * @param sampleFrames frames of the video, not of its latents, trained on
     * @param temporalRatio frames of the video to one of the latents
     * @param offset size of the embedding of the number that image to video of 1.5 is told, 0 for none
     * @param spaceScale distance of rows and columns trained on, to which positions refer
     * @param timeScale the same of frames
     */
    public record Config(
            int heads,
            int headSize,
            int inChannels,
            int outChannels,
            boolean cosineFirst,
            int frequencyShift,
            int timeSize,
            int offset,
            int textSize,
            int layers,
            boolean attentionBias,
            int sampleWidth,
            int sampleHeight,
            int sampleFrames,
            int patch,
            int patchFrames,
            int temporalRatio,
            int textLength,
            Act act,
            Act timeAct,
            boolean normWeights,
            double eps,
            double spaceScale,
            double timeScale,
            Positions positions,
            boolean patchBias) {
        public Config {
            Check.positive(heads, "num_attention_heads");
            Check.divides(8, headSize, "8", "attention_head_dim");
            Check.positive(inChannels, "in_channels");
            Check.positive(outChannels, "out_channels");
            Check.positive(layers, "num_layers");
            Check.positive(patch, "patch_size");
            Check.positive(temporalRatio, "temporal_compression_ratio");
            Check.oneOf(act, "activation_fn", Act.GELU_TANH, Act.GELU);
        }

        public static Config of(Json j) {
            boolean rotary = j.get("use_rotary_positional_embeddings", false);
            boolean table = j.get("use_learned_positional_embeddings", false);
            if (table && !rotary) {
                throw j.unsupported(
                        "use_learned_positional_embeddings", "true only with use_rotary_positional_embeddings");
            }
            int channels = j.get("in_channels", 16);
            return new Config(
                    j.get("num_attention_heads", 30),
                    j.get("attention_head_dim", 64),
                    channels,
                    j.get("out_channels", 16),
                    j.get("flip_sin_to_cos", true),
                    j.get("freq_shift", 0),
                    j.get("time_embed_dim", 512),
                    j.get("ofs_embed_dim", 0),
                    j.get("text_embed_dim", 4096),
                    j.get("num_layers", 30),
                    j.get("attention_bias", true),
                    j.get("sample_width", 90),
                    j.get("sample_height", 60),
                    j.get("sample_frames", 49),
                    j.get("patch_size", 2),
                    j.get("patch_size_t", 0),
                    j.get("temporal_compression_ratio", 4),
                    j.get("max_text_seq_length", 226),
                    j.get("activation_fn", Act.GELU_TANH, Act::of),
                    j.get("timestep_activation_fn", Act.SILU, Act::of),
                    j.get("norm_elementwise_affine", true),
                    j.get("norm_eps", 1e-5),
                    j.get("spatial_interpolation_scale", 1.875),
                    j.get("temporal_interpolation_scale", 1.0),
                    table ? Positions.ROTARY_AND_TABLE : rotary ? Positions.ROTARY : Positions.WAVES,
                    j.get("patch_bias", true));
        }

        /** CogVideoX-2b, 1.7 billion parameters. */
        public static Config published2b() {
            return new Config(
                    30,
                    64,
                    16,
                    16,
                    true,
                    0,
                    512,
                    0,
                    4096,
                    30,
                    true,
                    90,
                    60,
                    49,
                    2,
                    0,
                    4,
                    226,
                    Act.GELU_TANH,
                    Act.SILU,
                    true,
                    1e-5,
                    1.875,
                    1,
                    Positions.WAVES,
                    true);
        }

        public int hidden() {
            return heads * headSize;
        }

        /** Frames of latents that a patch has. */
        public int framesOfPatch() {
            return Math.max(1, patchFrames);
        }

        /** Whether a picture's latents are joined to the noisy ones. */
        public boolean takesImage() {
            return inChannels == 2 * outChannels;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Module patches;
    private final Linear text;
    private final @Nullable Tensor table;
    private final TimeEmbedding time;
    private final @Nullable TimeEmbedding offset;
    private final List<Block> blocks;
    private final LayerNorm normFinal;
    private final Linear modulation;
    private final LayerNorm norm;
    private final Linear output;

    public CogVideoXTransformer(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden();
        Weights e = w.at("patch_embed");
        patches = c.patchFrames == 0
                ? Conv2d.patches(e.at("proj"), c.inChannels, d, c.patch, c.patchBias)
                : new Linear(e.at("proj"), (long) c.inChannels * c.patch * c.patch * c.patchFrames, d);
        text = new Linear(e.at("text_proj"), c.textSize, d);
        table = c.positions == Positions.ROTARY_AND_TABLE
                ? e.buffer("pos_embedding", Init.zeros(), 1, c.textLength + tableTokens(c), d)
                : null;
        time = new TimeEmbedding(w.at("time_embedding"), d, c.timeSize, c.timeAct);
        offset = c.offset == 0 ? null : new TimeEmbedding(w.at("ofs_embedding"), c.offset, c.offset, c.timeAct);
        blocks = w.at("transformer_blocks").stack(c.layers, at -> new Block(c, at));
        normFinal = norm(c, w.at("norm_final"));
        modulation = new Linear(w.at("norm_out.linear"), c.timeSize, 2L * d);
        norm = norm(c, w.at("norm_out.norm"));
        output = new Linear(w.at("proj_out"), d, (long) c.patch * c.patch * c.framesOfPatch() * c.outChannels);
    }

    public static CogVideoXTransformer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new CogVideoXTransformer(Config.of(json), w));
    }

    private static long tableTokens(Config c) {
        long frames = (c.sampleFrames - 1) / c.temporalRatio + 1;
        return frames * (c.sampleHeight / c.patch) * (c.sampleWidth / c.patch);
    }

    private static LayerNorm norm(Config c, Weights w) {
        return c.normWeights ? new LayerNorm(w, c.hidden(), c.eps) : LayerNorm.plain(c.hidden(), c.eps);
    }

    public Config config() {
        return config;
    }

    /**
     * @param latents noisy, with the picture's behind them where the model takes one, {@code [B, F, C, H, W]}
     * @param timesteps {@code [B]}, 0 to 999
     * @param words {@code [B, L, text]}
     * @param offset {@code [1]} or {@code [B]} where the model is told one, else null
     * @return {@code [B, F, O, H, W]}
     */
    public Tensor forward(Tensor latents, Tensor timesteps, Tensor words, @Nullable Tensor offset) {
        try (Scope s = Scope.open()) {
            Tensor time = condition(timesteps, offset);
            Tensor tokens = tokens(latents, words);
            @Nullable Rotary rotary = rotary(latents);
            Streams x = Streams.of(tokens, words.size(1));
            for (Block block : blocks) {
                Streams next = block.forward(x, time, rotary);
                x.text().close();
                x.video().close();
                x = next;
            }
            return s.keep(predict(x, time, latents));
        }
    }

    /** Text and video tokens after the first block. */
    public Streams firstBlock(Tensor latents, Tensor timesteps, Tensor words, @Nullable Tensor offset) {
        try (Scope s = Scope.open()) {
            Streams x = Streams.of(tokens(latents, words), words.size(1));
            Streams y = blocks.get(0).forward(x, condition(timesteps, offset), rotary(latents));
            return new Streams(s.keep(y.text()), s.keep(y.video()));
        }
    }

    /** Text tokens {@code [B, L, D]} and video tokens {@code [B, N, D]}. */
    public record Streams(Tensor text, Tensor video) {
        static Streams of(Tensor tokens, long text) {
            return new Streams(tokens.narrow(1, 0, text), tokens.narrow(1, text, tokens.size(1) - text));
        }

        Tensor joined() {
            return Tensor.cat(1, text, video);
        }
    }

    /** {@code [B]} -> {@code [B, E]}. */
    public Tensor time(Tensor timesteps) {
        try (Scope s = Scope.open()) {
            return s.keep(time.forward(waves(timesteps, config.hidden())));
        }
    }

    private Tensor condition(Tensor timesteps, @Nullable Tensor number) {
        Tensor t = time(timesteps);
        if (offset == null) {
            return t;
        }
        if (number == null) {
            throw new IllegalArgumentException("this model is told an offset (ofs_embed_dim)");
        }
        return t.add(offset.forward(waves(number, config.offset)));
    }

    private Tensor waves(Tensor numbers, int width) {
        return new Timesteps(width, config.cosineFirst, config.frequencyShift).forward(numbers);
    }

    /** Text tokens, then video tokens, with what is added for their places, {@code [B, L + N, D]}. */
    public Tensor tokens(Tensor latents, Tensor words) {
        int p = config.patch;
        int q = config.framesOfPatch();
        Check.shape(latents.shape(), "latents", -1, -1, config.inChannels, -1, -1);
        Check.divides(p, latents.size(3), "patch_size", "height of the latents");
        Check.divides(p, latents.size(4), "patch_size", "width of the latents");
        Check.divides(q, latents.size(1), "patch_size_t", "frames of the latents");
        try (Scope s = Scope.open()) {
            Tensor video;
            if (config.patchFrames == 0) {
                video = patches.forward(latents.flatten(0, 1)) // [B F, D, H/p, W/p]
                        .flatten(2)
                        .transpose(1, 2)
                        .unflatten(0, latents.size(0), -1)
                        .flatten(1, 2); // [B, N, D]
            } else {
                Tensor x = latents.unflatten(4, -1, p)
                        .unflatten(3, -1, p)
                        .unflatten(1, -1, q) // [B, F/q, q, C, H/p, p, W/p, p]
                        .permute(0, 1, 4, 6, 3, 2, 5, 7);
                video = patches.forward(x.flatten(4).flatten(1, 3)); // [B, N, D]
            }
            Tensor tokens = Tensor.cat(1, text.forward(words), video);
            @Nullable Tensor places = places(latents, words.size(1));
            return s.keep(
                    places == null
                            ? tokens
                            : tokens.add(places.to(tokens.dtype()).to(tokens.device())));
        }
    }

    /** What is added to the tokens, {@code [1, L + N, D]}; null for nothing. */
    private @Nullable Tensor places(Tensor latents, long words) {
        if (config.positions == Positions.ROTARY) {
            return null;
        }
        if (table != null) {
            if (latents.size(3) != config.sampleHeight || latents.size(4) != config.sampleWidth) {
                throw new UserError("this model's positions are stored for latents of " + config.sampleWidth + "x"
                        + config.sampleHeight + ", it cannot make " + latents.size(4) + "x" + latents.size(3));
            }
            if ((latents.size(1) - 1) * config.temporalRatio + 1 == config.sampleFrames) {
                Check.equal(config.textLength, words, "max_text_seq_length", "the number of text tokens");
                return table;
            }
        }
        return Functional.pad(waves(latents), 0., 0, 0, words, 0).unsqueeze(0);
    }

    /** A quarter of the features for the frame, the rest halved for column and row; sines before cosines, {@code [N, D]}. */
    private Tensor waves(Tensor latents) {
        int d = config.hidden();
        int frames = (int) latents.size(1);
        int rows = (int) latents.size(3) / config.patch;
        int columns = (int) latents.size(4) / config.patch;
        int ofTime = d / 4;
        int ofSpace = (d - ofTime) / 2;
        Tensor t = sines(frames, config.timeScale, ofTime).reshape(frames, 1, 1, ofTime);
        Tensor y = sines(rows, config.spaceScale, ofSpace).reshape(1, rows, 1, ofSpace);
        Tensor x = sines(columns, config.spaceScale, ofSpace).reshape(1, 1, columns, ofSpace);
        return Tensor.cat(
                        -1,
                        t.expand(frames, rows, columns, ofTime),
                        x.expand(frames, rows, columns, ofSpace),
                        y.expand(frames, rows, columns, ofSpace))
                .flatten(0, 2);
    }

    private static Tensor sines(int n, double scale, int size) {
        Tensor angles = angles(Tensor.arange(n).to(DType.FLOAT64).div(scale), size);
        return Tensor.cat(-1, angles.sin(), angles.cos()).to(DType.FLOAT32);
    }

    /** {@code [n]} places times {@code size / 2} frequencies. */
    private static Tensor angles(Tensor places, int size) {
        Tensor frequencies = Tensor.arange(size / 2)
                .to(DType.FLOAT64)
                .mul(-2 * Math.log(10000) / size)
                .exp();
        return places.to(DType.FLOAT64).unsqueeze(1).mul(frequencies);
    }

    /** How queries and keys of the video tokens turn, {@code [N, D / heads / 2]}; null where they do not. */
    public @Nullable Rotary rotary(Tensor latents) {
        if (config.positions == Positions.WAVES) {
            return null;
        }
        int frames = (int) latents.size(1) / config.framesOfPatch();
        int rows = (int) latents.size(3) / config.patch;
        int columns = (int) latents.size(4) / config.patch;
        int sampleRows = config.sampleHeight / config.patch;
        int sampleColumns = config.sampleWidth / config.patch;
        try (Scope s = Scope.open()) {
            Tensor y = Tensor.arange(rows).to(DType.FLOAT64);
            Tensor x = Tensor.arange(columns).to(DType.FLOAT64);
            if (config.patchFrames == 0) {
                Fitted f = Fitted.into(rows, columns, sampleRows, sampleColumns);
                y = f.places(f.top, f.height, rows);
                x = f.places(f.left, f.width, columns);
            } else if (rows > sampleRows || columns > sampleColumns) {
                throw new UserError("latents of " + latents.size(4) + "x" + latents.size(3)
                        + " are larger than those the model was trained on, " + config.sampleWidth + "x"
                        + config.sampleHeight);
            }
            int ofTime = config.headSize / 4;
            int ofSpace = config.headSize / 8 * 3;
            Tensor angles = Tensor.cat(
                            -1,
                            angles(Tensor.arange(frames), ofTime)
                                    .reshape(frames, 1, 1, -1)
                                    .expand(frames, rows, columns, -1),
                            angles(y, ofSpace).reshape(1, rows, 1, -1).expand(frames, rows, columns, -1),
                            angles(x, ofSpace).reshape(1, 1, columns, -1).expand(frames, rows, columns, -1))
                    .flatten(0, 2);
            return new Rotary(
                    s.keep(angles.cos().to(DType.FLOAT32).to(latents.device())),
                    s.keep(angles.sin().to(DType.FLOAT32).to(latents.device())));
        }
    }

    /** A grid laid over that of the latents trained on: as large as fits with its own aspect ratio, in the middle. */
    private record Fitted(long top, long left, long height, long width) {
        static Fitted into(int rows, int columns, int sampleRows, int sampleColumns) {
            boolean tall = (double) rows / columns > (double) sampleRows / sampleColumns;
            long height = tall ? sampleRows : Math.round(Math.rint((double) sampleColumns / columns * rows));
            long width = tall ? Math.round(Math.rint((double) sampleRows / rows * columns)) : sampleColumns;
            return new Fitted(
                    Math.round(Math.rint((sampleRows - height) / 2.0)),
                    Math.round(Math.rint((sampleColumns - width) / 2.0)),
                    height,
                    width);
        }

        /** {@code n} places from the start, the last one step before the end. */
        Tensor places(long start, long length, int n) {
            return Tensor.linspace(start, (double) (start + length) * (n - 1) / n, n, DType.FLOAT64);
        }
    }

    private Tensor predict(Streams x, Tensor time, Tensor latents) {
        int p = config.patch;
        int q = config.framesOfPatch();
        List<Tensor> m = modulation.forward(time.silu()).unsqueeze(1).chunk(2, -1); // 2 x [B, 1, D]
        Tensor y = norm.forward(normFinal.forward(x.video())); // norms are per token: text need not come along
        y = output.forward(y.mul(m.get(1).add(1)).add(m.get(0))) // [B, N, O q p p]
                .unflatten(2, config.outChannels, q, p, p)
                .unflatten(1, latents.size(1) / q, latents.size(3) / p, latents.size(4) / p);
        return y.permute(0, 1, 5, 4, 2, 6, 3, 7) // [B, F/q, q, O, H/p, p, W/p, p]
                .flatten(6, 7)
                .flatten(4, 5)
                .flatten(1, 2);
    }

    /** Attention over both streams, then a feed-forward layer they share, each modulated by the time. */
    private static final class Block {
        private final Modulated attentionNorm;
        private final JointAttention attention;
        private final Modulated feedNorm;
        private final Mlp feed;

        Block(Config c, Weights w) {
            int d = c.hidden();
            attentionNorm = new Modulated(c, w.at("norm1"));
            attention = new JointAttention(c, w.at("attn1"));
            feedNorm = new Modulated(c, w.at("norm2"));
            feed = Mlp.feedForward(w.at("ff"), d, 4L * d, c.act());
        }

        Streams forward(Streams x, Tensor time, @Nullable Rotary rotary) {
            long words = x.text().size(1);
            try (Scope s = Scope.open()) {
                Modulated.Out a = attentionNorm.forward(x, time);
                Streams y = a.add(x, attention.forward(a.tokens(), words, rotary));
                Modulated.Out f = feedNorm.forward(y, time);
                Streams z = f.add(y, feed.forward(f.tokens()));
                return new Streams(s.keep(z.text()), s.keep(z.video()));
            }
        }
    }

    /** A norm shared by both streams, with shift, scale and gate for each. */
    private static final class Modulated {
        private final Linear linear;
        private final LayerNorm norm;

        Modulated(Config c, Weights w) {
            linear = new Linear(w.at("linear"), c.timeSize(), 6L * c.hidden());
            norm = norm(c, w.at("norm"));
        }

        /** @param tokens of both streams, text first */
        private record Out(Tensor tokens, Tensor gate, Tensor textGate) {
            Streams add(Streams x, Tensor update) {
                Streams u = Streams.of(update, x.text().size(1));
                return new Streams(
                        x.text().add(u.text().mul(textGate)),
                        x.video().add(u.video().mul(gate)));
            }
        }

        Out forward(Streams x, Tensor time) {
            List<Tensor> m = linear.forward(time.silu()).unsqueeze(1).chunk(6, -1); // 6 x [B, 1, D]
            Tensor video = norm.forward(x.video()).mul(m.get(1).add(1)).add(m.get(0));
            Tensor text = norm.forward(x.text()).mul(m.get(4).add(1)).add(m.get(3));
            return new Out(Tensor.cat(1, text, video), m.get(2), m.get(5));
        }
    }

    private static final class JointAttention {
        private final Linear query;
        private final Linear key;
        private final Linear value;
        private final Linear out;
        private final LayerNorm queryNorm;
        private final LayerNorm keyNorm;
        private final int heads;

        JointAttention(Config c, Weights w) {
            int d = c.hidden();
            query = new Linear(w.at("to_q"), d, d, c.attentionBias());
            key = new Linear(w.at("to_k"), d, d, c.attentionBias());
            value = new Linear(w.at("to_v"), d, d, c.attentionBias());
            out = new Linear(w.at("to_out.0"), d, d);
            queryNorm = new LayerNorm(w.at("norm_q"), c.headSize(), QUERY_EPS);
            keyNorm = new LayerNorm(w.at("norm_k"), c.headSize(), QUERY_EPS);
            heads = c.heads();
        }

        Tensor forward(Tensor tokens, long words, @Nullable Rotary rotary) { // [B, L + N, D]
            try (Scope s = Scope.open()) {
                Tensor q = turned(queryNorm.forward(Heads.split(query.forward(tokens), heads)), words, rotary);
                Tensor k = turned(keyNorm.forward(Heads.split(key.forward(tokens), heads)), words, rotary);
                Tensor v = Heads.split(value.forward(tokens), heads); // [B, heads, L + N, D / heads]
                return s.keep(out.forward(Heads.merge(Functional.attention(q, k, v, null, false, null))));
            }
        }

        /** Only video tokens have a place to turn by. */
        private static Tensor turned(Tensor x, long words, @Nullable Rotary rotary) {
            if (rotary == null) {
                return x;
            }
            Tensor video = rotary.neighbours(x.narrow(2, words, x.size(2) - words));
            return Tensor.cat(2, x.narrow(2, 0, words), video);
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
