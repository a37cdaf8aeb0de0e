package dev.zoetrope.models.cogvideox;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.Conv3d.Past;
import dev.zoetrope.nn.FrameCache;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Tiles;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The causal video autoencoder of CogVideoX, arXiv:2408.06072, names as in the {@code vae} of THUDM/CogVideoX-2b and -5b.
 * No frame sees a later one, so that a video of any length goes through in pieces of a few frames.
 *
 * <p>Axes: B videos, T frames (a multiple of the temporal ratio plus 1), H x W pixels, K latent channels, F, h, w latent
 * frames, rows and columns.
 */
public final class CogVideoXAutoencoder implements AutoCloseable {
    /** Frames, and frames of latents, that go through together: the published ones, on which group norms depend. */
    private static final int PIECE = 8;

    private static final int LATENT_PIECE = 2;
    private static final double NORM_EPS = 1e-6;

    /**
     * @param channels of each level, from the pixels to the latents
     * @param temporalRatio frames to one of the latents
     * @param sampleHeight rows trained on; tiles are half as high
     * @param scale by which latents are multiplied to have unit variance
     * @param invertScale whether the picture of image to video is divided instead, as 1.5 was trained
     */
    public record Config(
            int inChannels,
            int outChannels,
            List<Integer> channels,
            int latentChannels,
            int layers,
            Act act,
            double eps,
            int groups,
            int temporalRatio,
            int sampleHeight,
            int sampleWidth,
            double scale,
            boolean quantConv,
            boolean postQuantConv,
            boolean invertScale) {
        public Config {
            Check.positive(channels.size(), "the number of block_out_channels");
            Check.positive(latentChannels, "latent_channels");
            Check.positive(layers, "layers_per_block");
            channels.forEach(c -> Check.divides(groups, c, "norm_num_groups", "block_out_channels"));
            if (Integer.bitCount(temporalRatio) != 1) {
                throw new dev.zoetrope.tensor.UserError(
                        "temporal_compression_ratio " + temporalRatio + " is not a power of two");
            }
            Check.positive(scale, "scaling_factor");
        }

        public static Config of(Json j) {
            int[] channels = j.get("block_out_channels", new int[] {128, 256, 256, 512});
            blocks(j, "down_block_types", "CogVideoXDownBlock3D");
            blocks(j, "up_block_types", "CogVideoXUpBlock3D");
            return new Config(
                    j.get("in_channels", 3),
                    j.get("out_channels", 3),
                    java.util.Arrays.stream(channels).boxed().toList(),
                    j.get("latent_channels", 16),
                    j.get("layers_per_block", 3),
                    j.get("act_fn", Act.SILU, Act::of),
                    j.get("norm_eps", 1e-6),
                    j.get("norm_num_groups", 32),
                    j.get("temporal_compression_ratio", 4),
                    j.get("sample_height", 480),
                    j.get("sample_width", 720),
                    j.get("scaling_factor", 1.15258426),
                    j.get("use_quant_conv", false),
                    j.get("use_post_quant_conv", false),
                    j.get("invert_scale_latents", false));
        }

        private static void blocks(Json j, String key, String only) {
            if (j.get(key, List.<String>of()).stream().anyMatch(b -> !b.equals(only))) {
                throw j.unsupported(key, only);
            }
        }

        /** Pixels to one of the latents along each side. */
        public int spatialRatio() {
            return 1 << (channels.size() - 1);
        }

        /** Frames of the latents of a video. */
        public int latentFrames(int frames) {
            return (frames - 1) / temporalRatio + 1;
        }

        private boolean compressesTime(int level) {
            return level < Integer.numberOfTrailingZeros(temporalRatio);
        }

        private int last() {
            return channels.get(channels.size() - 1);
        }
    }

    /**
     * The distribution of latents of a video.
     *
     * @param mean {@code [B, K, F, h, w]}
     * @param logvar the same, logarithm of the variance
     */
    public record Moments(Tensor mean, Tensor logvar) {
        /** @param noise standard normal, like the mean; owned by the innermost scope */
        public Tensor sample(Tensor noise) {
            try (Scope s = Scope.open()) {
                return s.keep(mean.add(logvar.mul(0.5).exp().mul(noise)));
            }
        }
    }

    private final Weights weights;
    private final Config config;
    private final Encoder encoder;
    private final Decoder decoder;
    private final @Nullable Conv3d quant;
    private final @Nullable Conv3d postQuant;

    public CogVideoXAutoencoder(Config c, Weights w) {
        weights = w;
        config = c;
        encoder = new Encoder(c, w.at("encoder"));
        decoder = new Decoder(c, w.at("decoder"));
        // The release sizes these by the picture's channels, not by the latents'.
        quant = c.quantConv ? point(w.at("quant_conv"), 2L * c.outChannels, 2L * c.outChannels) : null;
        postQuant = c.postQuantConv ? point(w.at("post_quant_conv"), c.outChannels, c.outChannels) : null;
    }

    public static CogVideoXAutoencoder load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new CogVideoXAutoencoder(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /** {@code video [B, 3, T, H, W]} in -1..1. */
    public Moments encode(Tensor video) {
        return moments(inPieces(video, PIECE, this::encodePiece));
    }

    /** Each tile by itself, for videos larger than those trained on; overlaps are blended. */
    public Moments encode(Tensor video, Tiling t) {
        return moments(t.encoding(config).apply(video, tile -> inPieces(tile, PIECE, this::encodePiece)));
    }

    private Moments moments(Tensor both) {
        List<Tensor> m = both.chunk(2, 1);
        return new Moments(m.get(0), m.get(1).clamp(-30, 20));
    }

    /** {@code latents [B, K, F, h, w]}, not scaled -> {@code [B, 3, T, H, W]} about -1..1. */
    public Tensor decode(Tensor latents) {
        return inPieces(latents, LATENT_PIECE, this::decodePiece);
    }

    /** The same, a few frames at a time: each piece {@code [B, 3, t, H, W]} is freed after {@code frames} has seen it. */
    public void decode(Tensor latents, Consumer<Tensor> frames) {
        try (FrameCache cache = new FrameCache()) {
            for (Span span : spans(latents.size(2), LATENT_PIECE)) {
                try (Scope s = Scope.open()) {
                    frames.accept(decodePiece(latents.narrow(2, span.start, span.length), cache));
                }
            }
        }
    }

    /** Each tile by itself, for videos whose decoding would not fit into memory; overlaps are blended. */
    public Tensor decode(Tensor latents, Tiling t) {
        return t.decoding(config).apply(latents, this::decode);
    }

    /** What comes out of the first convolution and the first level for the first piece of a video. */
    public List<Tensor> encoderStates(Tensor video) {
        Span first = spans(video.size(2), PIECE).get(0);
        try (FrameCache cache = new FrameCache();
                Scope s = Scope.open()) {
            Tensor x = encoder.convIn.forward(video.narrow(2, 0, first.length), cache);
            return List.of(s.keep(x), s.keep(encoder.levels.get(0).forward(x, cache)));
        }
    }

    private Tensor encodePiece(Tensor frames, FrameCache cache) {
        Tensor x = encoder.forward(frames, cache);
        return quant == null ? x : quant.forward(x);
    }

    private Tensor decodePiece(Tensor latents, FrameCache cache) {
        return decoder.forward(postQuant == null ? latents : postQuant.forward(latents), cache);
    }

    /**
     * How a picture is cut into tiles.
     *
     * @param height rows of a tile in pixels
     * @param width columns of a tile in pixels
     * @param overlapHeight share of a tile's height that the next one covers too
     * @param overlapWidth share of a tile's width that the next one covers too
     */
    public record Tiling(int height, int width, double overlapHeight, double overlapWidth) {
        /** The published one: half of the size trained on. */
        public static Tiling of(Config c) {
            return new Tiling(c.sampleHeight / 2, c.sampleWidth / 2, 1. / 6, 1. / 5);
        }

        /** Whether a video is larger than a tile. */
        public boolean needed(long rows, long columns) {
            return rows > height || columns > width;
        }

        private Tiles decoding(Config c) {
            int rows = height / c.spatialRatio();
            int columns = width / c.spatialRatio();
            long blendRows = (long) (height * overlapHeight);
            long blendColumns = (long) (width * overlapWidth);
            return new Tiles(
                    rows,
                    columns,
                    (long) (rows * (1 - overlapHeight)),
                    (long) (columns * (1 - overlapWidth)),
                    blendRows,
                    blendColumns,
                    height - blendRows,
                    width - blendColumns);
        }

        private Tiles encoding(Config c) {
            int rows = height / c.spatialRatio();
            int columns = width / c.spatialRatio();
            long blendRows = (long) (rows * overlapHeight);
            long blendColumns = (long) (columns * overlapWidth);
            return new Tiles(
                    height,
                    width,
                    (long) (height * (1 - overlapHeight)),
                    (long) (width * (1 - overlapWidth)),
                    blendRows,
                    blendColumns,
                    rows - blendRows,
                    columns - blendColumns);
        }
    }

    // ---- in pieces ----

    private record Span(long start, long length) {}

    /** What does not fill a piece goes into the first one. */
    private static List<Span> spans(long frames, int piece) {
        long pieces = Math.max(1, frames / piece);
        long rest = frames % piece;
        List<Span> r = new ArrayList<>();
        for (long i = 0; i < pieces; i++) {
            long start = i == 0 ? 0 : i * piece + rest;
            r.add(new Span(start, Math.min(frames, (i + 1) * piece + rest) - start));
        }
        return r;
    }

    private interface Step {
        Tensor forward(Tensor piece, FrameCache cache);
    }

    private static Tensor inPieces(Tensor x, int piece, Step network) {
        try (Scope s = Scope.open();
                FrameCache cache = new FrameCache()) {
            List<Tensor> done = new ArrayList<>();
            for (Span span : spans(x.size(2), piece)) {
                try (Scope one = Scope.open()) {
                    done.add(one.keep(network.forward(x.narrow(2, span.start, span.length), cache)));
                }
            }
            return s.keep(Tensor.cat(2, done));
        }
    }

    // ---- layers; a causal convolution's weights lie under "conv" ----

    private static Conv3d causal(Weights w, int in, int out) {
        return Conv3d.cube(w.at("conv"), in, out, 3, Past.FIRST_FRAME);
    }

    private static Conv3d point(Weights w, long in, long out) {
        return Conv3d.cube(w, in, out, 1, Past.FIRST_FRAME);
    }

    private static final class Encoder {
        private final Conv3d convIn;
        private final List<Level> levels;
        private final List<Residual> middle;
        private final GroupNorm norm;
        private final Conv3d convOut;
        private final Act act;

        Encoder(Config c, Weights w) {
            convIn = causal(w.at("conv_in"), c.inChannels, c.channels.get(0));
            List<Level> levels = new ArrayList<>();
            for (int i = 0; i < c.channels.size(); i++) {
                boolean last = i == c.channels.size() - 1;
                int out = c.channels.get(i);
                Weights at = w.at("down_blocks").at(i);
                levels.add(new Level(
                        c,
                        at,
                        c.channels.get(Math.max(0, i - 1)),
                        out,
                        c.layers,
                        0,
                        last ? null : new Shrink(at.at("downsamplers.0"), out, c.compressesTime(i))));
            }
            this.levels = List.copyOf(levels);
            middle = w.at("mid_block.resnets").stack(2, at -> new Residual(c, at, c.last(), c.last(), 0));
            norm = new GroupNorm(w.at("norm_out"), c.groups, c.last(), NORM_EPS);
            convOut = causal(w.at("conv_out"), c.last(), 2 * c.latentChannels);
            act = Act.SILU;
        }

        Tensor forward(Tensor frames, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor x = convIn.forward(frames, cache);
                for (Level level : levels) {
                    x = replace(x, level.forward(x, cache));
                }
                for (Residual block : middle) {
                    x = replace(x, block.forward(x, null, cache));
                }
                return s.keep(convOut.forward(act.of(norm.forward(x)), cache));
            }
        }
    }

    private static final class Decoder {
        private final Conv3d convIn;
        private final List<Residual> middle;
        private final List<Level> levels;
        private final Norm norm;
        private final Conv3d convOut;
        private final Act act;

        Decoder(Config c, Weights w) {
            int n = c.channels.size();
            int k = c.latentChannels;
            convIn = causal(w.at("conv_in"), k, c.last());
            middle = w.at("mid_block.resnets").stack(2, at -> new Residual(c, at, c.last(), c.last(), k));
            List<Level> levels = new ArrayList<>();
            for (int i = 0; i < n; i++) {
                int out = c.channels.get(n - 1 - i);
                Weights at = w.at("up_blocks").at(i);
                levels.add(new Level(
                        c,
                        at,
                        c.channels.get(n - 1 - Math.max(0, i - 1)),
                        out,
                        c.layers + 1,
                        k,
                        i == n - 1 ? null : new Grow(at.at("upsamplers.0"), out, c.compressesTime(i))));
            }
            this.levels = List.copyOf(levels);
            norm = Norm.of(w.at("norm_out"), c, c.channels.get(0), k, NORM_EPS);
            convOut = causal(w.at("conv_out"), c.channels.get(0), c.outChannels);
            act = Act.SILU;
        }

        Tensor forward(Tensor latents, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor x = convIn.forward(latents, cache);
                for (Residual block : middle) {
                    x = replace(x, block.forward(x, latents, cache));
                }
                for (Level level : levels) {
                    x = replace(x, level.forward(x, latents, cache));
                }
                return s.keep(convOut.forward(act.of(norm.forward(x, latents)), cache));
            }
        }
    }

    /** Frees what the next value was made from: at full size each tensor counts. */
    private static Tensor replace(Tensor before, Tensor after) {
        before.close();
        return after;
    }

    private static final class Level {
        private final List<Residual> blocks;
        private final @Nullable Module resize;

        Level(Config c, Weights w, int in, int out, int layers, int latentChannels, @Nullable Module resize) {
            List<Residual> blocks = new ArrayList<>();
            for (int i = 0; i < layers; i++) {
                blocks.add(new Residual(c, w.at("resnets").at(i), i == 0 ? in : out, out, latentChannels));
            }
            this.blocks = List.copyOf(blocks);
            this.resize = resize;
        }

        Tensor forward(Tensor x, FrameCache cache) {
            return forward(x, null, cache);
        }

        Tensor forward(Tensor x, @Nullable Tensor latents, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor y = blocks.get(0).forward(x, latents, cache);
                for (Residual block : blocks.subList(1, blocks.size())) {
                    y = replace(y, block.forward(y, latents, cache));
                }
                return s.keep(resize == null ? y : resize.forward(y));
            }
        }
    }

    private static final class Residual {
        private final Norm norm1;
        private final Norm norm2;
        private final Conv3d conv1;
        private final Conv3d conv2;
        private final @Nullable Conv3d shortcut;
        private final Act act;

        Residual(Config c, Weights w, int in, int out, int latentChannels) {
            norm1 = Norm.of(w.at("norm1"), c, in, latentChannels, c.eps());
            norm2 = Norm.of(w.at("norm2"), c, out, latentChannels, c.eps());
            conv1 = causal(w.at("conv1"), in, out);
            conv2 = causal(w.at("conv2"), out, out);
            shortcut = in == out ? null : point(w.at("conv_shortcut"), in, out);
            act = c.act();
        }

        Tensor forward(Tensor x, @Nullable Tensor latents, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor y = conv1.forward(activated(norm1, x, latents), cache);
                y = replace(y, conv2.forward(activated(norm2, y, latents), cache));
                return s.keep(y.add(shortcut == null ? x : shortcut.forward(x)));
            }
        }

        private Tensor activated(Norm norm, Tensor x, @Nullable Tensor latents) {
            try (Scope s = Scope.open()) {
                return s.keep(act.of(norm.forward(x, latents)));
            }
        }
    }

    /** A group norm; in the decoder also scaled and shifted by what the latents say at each place, arXiv:2209.09002. */
    private record Norm(GroupNorm norm, @Nullable Conv3d scale, @Nullable Conv3d shift) {
        static Norm of(Weights w, Config c, int channels, int latentChannels, double eps) {
            if (latentChannels == 0) {
                return new Norm(new GroupNorm(w, c.groups(), channels, eps), null, null);
            }
            return new Norm(
                    new GroupNorm(w.at("norm_layer"), c.groups(), channels, NORM_EPS),
                    point(w.at("conv_y.conv"), latentChannels, channels),
                    point(w.at("conv_b.conv"), latentChannels, channels));
        }

        Tensor forward(Tensor x, @Nullable Tensor latents) {
            if (scale == null || shift == null || latents == null) {
                return norm.forward(x);
            }
            try (Scope s = Scope.open()) {
                // A 1x1x1 convolution and repeating places may change places: the small one comes first.
                Tensor y = norm.forward(x);
                y = replace(y, y.mul(stretched(scale.forward(latents), x)));
                return s.keep(y.add(stretched(shift.forward(latents), x)));
            }
        }
    }

    /** Each place of the latents repeated over the features it stands for; the first frame stands for one alone. */
    private static Tensor stretched(Tensor latents, Tensor x) {
        long t = x.size(2);
        long h = x.size(3);
        long w = x.size(4);
        try (Scope s = Scope.open()) {
            if (t > 1 && t % 2 == 1) {
                Tensor first = Functional.nearest3d(latents.narrow(2, 0, 1), 1, h, w);
                Tensor rest = Functional.nearest3d(latents.narrow(2, 1, latents.size(2) - 1), t - 1, h, w);
                return s.keep(Tensor.cat(2, first, rest));
            }
            return s.keep(Functional.nearest3d(latents, t, h, w));
        }
    }

    /** Half the height and width, by a convolution of each frame, and half the frames, by means of pairs. */
    private record Shrink(Conv2d conv, boolean time) implements Module {
        Shrink(Weights w, int channels, boolean time) {
            this(new Conv2d(w.at("conv"), channels, channels, 3, 2, 0), time);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                return s.keep(eachFrame(Functional.pad(time ? halved(x) : x, 0., 0, 1, 0, 1), conv));
            }
        }

        private static Tensor halved(Tensor x) {
            long t = x.size(2);
            if (t % 2 == 0) {
                return x.unflatten(2, -1, 2).mean(3);
            }
            Tensor first = x.narrow(2, 0, 1);
            return t == 1
                    ? first
                    : Tensor.cat(
                            2, first, x.narrow(2, 1, t - 1).unflatten(2, -1, 2).mean(3));
        }
    }

    /** Twice the height and width, and twice the frames after the first, by repeating; then a convolution of each frame. */
    private record Grow(Conv2d conv, boolean time) implements Module {
        Grow(Weights w, int channels, boolean time) {
            this(new Conv2d(w.at("conv"), channels, channels, 3, 1, 1), time);
        }

        @Override
        public Tensor forward(Tensor x) {
            long t = x.size(2);
            long h = 2 * x.size(3);
            long w = 2 * x.size(4);
            try (Scope s = Scope.open()) {
                Tensor y;
                if (!time || t == 1) {
                    y = Functional.nearest3d(x, t, h, w);
                } else if (t % 2 == 0) {
                    y = Functional.nearest3d(x, 2 * t, h, w);
                } else {
                    y = Tensor.cat(
                            2,
                            Functional.nearest3d(x.narrow(2, 0, 1), 1, h, w),
                            Functional.nearest3d(x.narrow(2, 1, t - 1), 2 * (t - 1), h, w));
                }
                return s.keep(eachFrame(y, conv));
            }
        }
    }

    private static Tensor eachFrame(Tensor x, Module picture) { // [B, C, T, H, W]
        return picture.forward(x.transpose(1, 2).flatten(0, 1))
                .unflatten(0, x.size(0), -1)
                .transpose(1, 2);
    }

    @Override
    public void close() {
        weights.close();
    }
}
