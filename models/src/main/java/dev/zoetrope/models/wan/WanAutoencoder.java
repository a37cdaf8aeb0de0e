package dev.zoetrope.models.wan;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.Conv3d.Past;
import dev.zoetrope.nn.FrameCache;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Tiles;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The causal video autoencoders of Wan 2.1 and 2.2, arXiv:2503.20314, names as in the {@code vae} of
 * Wan-AI/Wan2.1-T2V-1.3B-Diffusers and Wan2.2-TI2V-5B-Diffusers. The first frame goes through alone, the others in fours;
 * each causal convolution remembers the two frames before.
 *
 * <p>Axes: B videos, T frames (a multiple of 4 plus 1), H x W pixels, K latent channels, F, h, w latent frames, rows and
 * columns.
 */
public final class WanAutoencoder implements AutoCloseable {
    private static final int GROUP = 4;
    private static final double SMALLEST_LENGTH = 1e-12;

    /** Pixels of a tile's side, and from one tile to the next, as published. */
    private static final int TILE = 256;

    private static final int TILE_STEP = 192;

    /**
     * @param width of the encoder's first layer
     * @param decoderWidth of the decoder's last layer
     * @param multipliers of the width, level by level
     * @param attentionScales shares of the resolution at which the encoder attends
     * @param halvesTime whether a level's end halves the frames
     * @param mean of each latent channel over the training data
     * @param deviation of each latent channel
     * @param residual whether levels are bridged by means and repeats, as in 2.2
     * @param patch side of the squares of pixels that become channels; 1 for none
     */
    public record Config(
            int width,
            int decoderWidth,
            int latentChannels,
            List<Integer> multipliers,
            int layers,
            List<Double> attentionScales,
            List<Boolean> halvesTime,
            List<Double> mean,
            List<Double> deviation,
            boolean residual,
            int inChannels,
            int outChannels,
            int patch,
            int temporalRatio,
            int spatialRatio) {
        public Config {
            Check.positive(width, "base_dim");
            Check.positive(latentChannels, "z_dim");
            Check.equal(
                    multipliers.size() - 1,
                    halvesTime.size(),
                    "levels after the first of dim_mult",
                    "those of temperal_downsample");
            Check.equal(mean.size(), latentChannels, "the length of latents_mean", "z_dim");
            Check.equal(deviation.size(), latentChannels, "the length of latents_std", "z_dim");
        }

        public static Config of(Json j) {
            int width = j.get("base_dim", 96);
            return new Config(
                    width,
                    j.get("decoder_base_dim", width),
                    j.get("z_dim", 16),
                    Arrays.stream(j.get("dim_mult", new int[] {1, 2, 4, 4}))
                            .boxed()
                            .toList(),
                    j.get("num_res_blocks", 2),
                    doubles(j.get("attn_scales", new double[0])),
                    j.booleans("temperal_downsample", List.of(false, true, true)),
                    doubles(j.get("latents_mean", MEAN)),
                    doubles(j.get("latents_std", DEVIATION)),
                    j.get("is_residual", false),
                    j.get("in_channels", 3),
                    j.get("out_channels", 3),
                    j.get("patch_size", 1),
                    j.get("scale_factor_temporal", 4),
                    j.get("scale_factor_spatial", 8));
        }

        private static List<Double> doubles(double[] values) {
            return Arrays.stream(values).boxed().toList();
        }

        /** Frames of the latents of a video. */
        public int latentFrames(int frames) {
            return (frames - 1) / temporalRatio + 1;
        }

        private int channels(int level) {
            return width * multipliers.get(level);
        }

        /** Of the decoder's levels, the last of the encoder's first. */
        private int decoderChannels(int level) {
            return decoderWidth * multipliers.get(multipliers.size() - 1 - level);
        }

        private int levels() {
            return multipliers.size();
        }
    }

    // Of Wan 2.1, which is what a configuration without them means.
    private static final double[] MEAN = {
        -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
        -0.9497, 0.2503, -0.2921
    };
    private static final double[] DEVIATION = {
        2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
        2.8251, 1.9160
    };

    /**
     * The distribution of latents of a video.
     *
     * @param mean {@code [B, K, F, h, w]}
     * @param logvar the same, logarithm of the variance
     */
    public record Moments(Tensor mean, Tensor logvar) {}

    private final Weights weights;
    private final Config config;
    private final Encoder encoder;
    private final Decoder decoder;
    private final Conv3d quant;
    private final Conv3d postQuant;

    public WanAutoencoder(Config c, Weights w) {
        weights = w;
        config = c;
        encoder = new Encoder(c, w.at("encoder"));
        decoder = new Decoder(c, w.at("decoder"));
        quant = Conv3d.cube(w.at("quant_conv"), 2L * c.latentChannels, 2L * c.latentChannels, 1, Past.ZEROS);
        postQuant = Conv3d.cube(w.at("post_quant_conv"), c.latentChannels, c.latentChannels, 1, Past.ZEROS);
    }

    public static WanAutoencoder load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new WanAutoencoder(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /** {@code video [B, 3, T, H, W]} in -1..1. */
    public Moments encode(Tensor video) {
        return moments(encodeTile(patched(video)));
    }

    /** Each tile by itself, for videos larger than one; overlaps are blended. */
    public Moments encodeTiled(Tensor video) {
        int ratio = config.spatialRatio / config.patch;
        int tile = TILE / ratio;
        int step = TILE_STEP / ratio;
        Tiles tiles = new Tiles(TILE, TILE, TILE_STEP, TILE_STEP, tile - step, tile - step, step, step);
        return moments(tiles.apply(patched(video), this::encodeTile));
    }

    private Moments moments(Tensor both) {
        List<Tensor> m = both.chunk(2, 1);
        return new Moments(m.get(0), m.get(1).clamp(-30, 20));
    }

    private Tensor encodeTile(Tensor video) {
        try (Scope s = Scope.open();
                FrameCache cache = new FrameCache()) {
            List<Tensor> done = new ArrayList<>();
            done.add(encoder.forward(video.narrow(2, 0, 1), cache));
            for (long from = 1; from + GROUP <= video.size(2); from += GROUP) {
                done.add(encoder.forward(video.narrow(2, from, GROUP), cache));
            }
            return s.keep(quant.forward(Tensor.cat(2, done)));
        }
    }

    /** {@code latents [B, K, F, h, w]}, not normalised -> {@code [B, 3, T, H, W]} in -1..1. */
    public Tensor decode(Tensor latents) {
        try (Scope s = Scope.open()) {
            return s.keep(unpatched(decodeTile(latents)).clamp(-1, 1));
        }
    }

    /** The same, a few frames at a time: each piece {@code [B, 3, t, H, W]} is freed after {@code frames} has seen it. */
    public void decode(Tensor latents, Consumer<Tensor> frames) {
        try (FrameCache cache = new FrameCache()) {
            for (long i = 0; i < latents.size(2); i++) {
                try (Scope s = Scope.open()) {
                    Tensor z = postQuant.forward(latents.narrow(2, i, 1));
                    frames.accept(unpatched(decoder.forward(z, cache, i == 0)).clamp(-1, 1));
                }
            }
        }
    }

    /** Each tile by itself, for videos whose decoding would not fit into memory; overlaps are blended. */
    public Tensor decodeTiled(Tensor latents) {
        int tile = TILE / config.spatialRatio;
        int step = TILE_STEP / config.spatialRatio;
        int kept = TILE_STEP / config.patch;
        int blend = TILE / config.patch - kept;
        Tiles tiles = new Tiles(tile, tile, step, step, blend, blend, kept, kept);
        try (Scope s = Scope.open()) {
            return s.keep(unpatched(tiles.apply(latents, this::decodeTile)).clamp(-1, 1));
        }
    }

    private Tensor decodeTile(Tensor latents) {
        try (Scope s = Scope.open();
                FrameCache cache = new FrameCache()) {
            Tensor z = postQuant.forward(latents);
            List<Tensor> done = new ArrayList<>();
            for (long i = 0; i < z.size(2); i++) {
                done.add(decoder.forward(z.narrow(2, i, 1), cache, i == 0));
            }
            return s.keep(Tensor.cat(2, done));
        }
    }

    /** Squares of pixels as channels, column before row. */
    private Tensor patched(Tensor video) { // [B, 3, T, H, W] -> [B, 3 p p, T, H/p, W/p]
        int p = config.patch;
        Check.divides(p, video.size(3), "patch_size", "height");
        Check.divides(p, video.size(4), "patch_size", "width");
        return p == 1
                ? video
                : video.unflatten(4, -1, p)
                        .unflatten(3, -1, p) // [B, 3, T, H/p, p, W/p, p]
                        .permute(0, 1, 6, 4, 2, 3, 5)
                        .flatten(1, 3);
    }

    private Tensor unpatched(Tensor x) {
        int p = config.patch;
        return p == 1
                ? x
                : x.unflatten(1, -1, p, p) // [B, 3, p, p, T, H/p, W/p]
                        .permute(0, 1, 4, 5, 3, 6, 2)
                        .flatten(5, 6)
                        .flatten(3, 4);
    }

    /** Latents at mean 0 and deviation 1, as the transformer sees them. */
    public Tensor normalised(Tensor latents) {
        try (Scope s = Scope.open()) {
            return s.keep(latents.sub(perChannel(config.mean)).div(perChannel(config.deviation)));
        }
    }

    /** Back from {@link #normalised}. */
    public Tensor restored(Tensor latents) {
        try (Scope s = Scope.open()) {
            return s.keep(latents.mul(perChannel(config.deviation)).add(perChannel(config.mean)));
        }
    }

    private Tensor perChannel(List<Double> values) {
        float[] r = new float[values.size()];
        for (int i = 0; i < r.length; i++) {
            r[i] = values.get(i).floatValue();
        }
        return Tensor.of(r, 1, r.length, 1, 1, 1);
    }

    private static Conv3d causal(Weights w, int in, int out) {
        return Conv3d.cube(w, in, out, 3, Past.ZEROS);
    }

    /** A layer that remembers frames. */
    private interface Layer {
        Tensor forward(Tensor x, FrameCache cache);
    }

    private static final class Encoder {
        private final Conv3d convIn;
        private final List<Layer> levels = new ArrayList<>();
        private final Middle middle;
        private final Norm norm;
        private final Conv3d convOut;

        Encoder(Config c, Weights w) {
            convIn = causal(w.at("conv_in"), c.inChannels, c.width);
            Weights down = w.at("down_blocks");
            int in = c.width;
            double scale = 1;
            for (int i = 0; i < c.levels(); i++) {
                int out = c.channels(i);
                boolean last = i == c.levels() - 1;
                boolean time = !last && c.halvesTime.get(i);
                if (c.residual) {
                    levels.add(new BridgedDown(c, down.at(i), in, out, !last, time));
                } else {
                    for (int j = 0; j < c.layers; j++) {
                        levels.add(new Residual(down.at(levels.size()), j == 0 ? in : out, out));
                        if (c.attentionScales.contains(scale)) {
                            levels.add(new FrameAttention(down.at(levels.size()), out));
                        }
                    }
                    if (!last) {
                        levels.add(new Shrink(down.at(levels.size()), out, time));
                        scale /= 2;
                    }
                }
                in = out;
            }
            middle = new Middle(w.at("mid_block"), in);
            norm = new Norm(w.at("norm_out"), in, 3);
            convOut = causal(w.at("conv_out"), in, 2 * c.latentChannels);
        }

        Tensor forward(Tensor frames, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor x = convIn.forward(frames, cache);
                for (Layer level : levels) {
                    x = replace(x, level.forward(x, cache));
                }
                x = middle.forward(x, cache);
                return s.keep(convOut.forward(norm.forward(x).silu(), cache));
            }
        }
    }

    private static final class Decoder {
        private final Conv3d convIn;
        private final Middle middle;
        private final List<Up> levels = new ArrayList<>();
        private final Norm norm;
        private final Conv3d convOut;

        Decoder(Config c, Weights w) {
            int in = c.decoderChannels(0);
            convIn = causal(w.at("conv_in"), c.latentChannels, in);
            middle = new Middle(w.at("mid_block"), in);
            for (int i = 0; i < c.levels(); i++) {
                int out = c.decoderChannels(i);
                boolean last = i == c.levels() - 1;
                boolean time = !last && c.halvesTime.get(c.levels() - 2 - i);
                levels.add(new Up(c, w.at("up_blocks").at(i), in, out, !last, time));
                in = c.residual ? out : out / 2; // without a bridge the growing layer halves the channels
            }
            int out = c.decoderChannels(c.levels() - 1);
            norm = new Norm(w.at("norm_out"), out, 3);
            convOut = causal(w.at("conv_out"), out, c.outChannels);
        }

        Tensor forward(Tensor latents, FrameCache cache, boolean first) {
            try (Scope s = Scope.open()) {
                Tensor x = middle.forward(convIn.forward(latents, cache), cache);
                for (Up level : levels) {
                    x = replace(x, level.forward(x, cache, first));
                }
                return s.keep(convOut.forward(norm.forward(x).silu(), cache));
            }
        }
    }

    /** Frees what the next value was made from: at full size each tensor counts. */
    private static Tensor replace(Tensor before, Tensor after) {
        before.close();
        return after;
    }

    private static final class Middle implements Layer {
        private final Residual first;
        private final FrameAttention attention;
        private final Residual second;

        Middle(Weights w, int channels) {
            first = new Residual(w.at("resnets.0"), channels, channels);
            attention = new FrameAttention(w.at("attentions.0"), channels);
            second = new Residual(w.at("resnets.1"), channels, channels);
        }

        @Override
        public Tensor forward(Tensor x, FrameCache cache) {
            try (Scope s = Scope.open()) {
                return s.keep(second.forward(attention.forward(first.forward(x, cache), cache), cache));
            }
        }
    }

    private static final class Residual implements Layer {
        private final Norm norm1;
        private final Norm norm2;
        private final Conv3d conv1;
        private final Conv3d conv2;
        private final @Nullable Conv3d shortcut;

        Residual(Weights w, int in, int out) {
            norm1 = new Norm(w.at("norm1"), in, 3);
            conv1 = causal(w.at("conv1"), in, out);
            norm2 = new Norm(w.at("norm2"), out, 3);
            conv2 = causal(w.at("conv2"), out, out);
            shortcut = in == out ? null : Conv3d.cube(w.at("conv_shortcut"), in, out, 1, Past.ZEROS);
        }

        @Override
        public Tensor forward(Tensor x, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor y = conv1.forward(norm1.forward(x).silu(), cache);
                y = conv2.forward(norm2.forward(y).silu(), cache);
                return s.keep(y.add(shortcut == null ? x : shortcut.forward(x)));
            }
        }
    }

    /** The vector of channels at each place, at length sqrt(C), then weighted. */
    private static final class Norm implements Module {
        private final Tensor gamma;
        private final int channels;

        /** @param after axes behind the channels */
        Norm(Weights w, int channels, int after) {
            long[] shape = new long[after + 1];
            Arrays.fill(shape, 1);
            shape[0] = channels;
            this.channels = channels;
            gamma = w.tensor("gamma", Init.ones(), shape);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                Tensor length = x.norm(true, 1).clamp(SMALLEST_LENGTH, Float.MAX_VALUE);
                return s.keep(x.div(length).mul(gamma.mul(Math.sqrt(channels))));
            }
        }
    }

    /** Each place of a frame attends to all others of the frame, with one head. */
    private static final class FrameAttention implements Layer {
        private final Norm norm;
        private final Conv2d qkv;
        private final Conv2d out;

        FrameAttention(Weights w, int channels) {
            norm = new Norm(w.at("norm"), channels, 2);
            qkv = new Conv2d(w.at("to_qkv"), channels, 3L * channels, 1, 1, 0);
            out = new Conv2d(w.at("proj"), channels, channels, 1, 1, 0);
        }

        @Override
        public Tensor forward(Tensor x, FrameCache cache) { // [B, C, T, H, W]
            try (Scope s = Scope.open()) {
                Tensor frames = norm.forward(x.transpose(1, 2).flatten(0, 1)); // [B T, C, H, W]
                List<Tensor> m = qkv.forward(frames)
                        .flatten(2)
                        .transpose(1, 2)
                        .unsqueeze(1)
                        .chunk(3, -1); // 3 x [B T, 1, H W, C]
                Tensor y = Functional.attention(m.get(0), m.get(1), m.get(2), null, false, null);
                y = out.forward(y.squeeze(1).transpose(1, 2).unflatten(2, x.size(3), x.size(4)));
                return s.keep(x.add(y.unflatten(0, x.size(0), -1).transpose(1, 2)));
            }
        }
    }

    /** Half the height and width, and half the frames of all but the first piece. */
    private static final class Shrink implements Layer {
        private final Conv2d conv;
        private final @Nullable Conv3d timeConv;

        Shrink(Weights w, int channels, boolean time) {
            conv = new Conv2d(w.at("resample.1"), channels, channels, 3, 2, 0);
            timeConv = time
                    ? new Conv3d(
                            w.at("time_conv"),
                            channels,
                            channels,
                            new long[] {3, 1, 1},
                            new long[] {2, 1, 1},
                            new long[] {0, 0, 0},
                            Past.PADDED,
                            true)
                    : null;
        }

        @Override
        public Tensor forward(Tensor x, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor y = eachFrame(x, frame -> conv.forward(Functional.pad(frame, 0., 0, 1, 0, 1)));
                if (timeConv != null) {
                    @Nullable Tensor last = cache.get(this);
                    Tensor halved = last == null ? y : timeConv.forward(Tensor.cat(2, last, y));
                    cache.put(this, y.narrow(2, y.size(2) - 1, 1)); // frees the one before
                    y = halved;
                }
                return s.keep(y);
            }
        }
    }

    /** Twice the height and width, and twice the frames of all but the first piece. */
    private static final class Grow implements Layer {
        private final Conv2d conv;
        private final @Nullable Conv3d timeConv;

        Grow(Weights w, int in, int out, boolean time) {
            conv = new Conv2d(w.at("resample.1"), in, out, 3, 1, 1);
            timeConv = time
                    ? new Conv3d(
                            w.at("time_conv"),
                            in,
                            2L * in,
                            new long[] {3, 1, 1},
                            new long[] {1, 1, 1},
                            new long[] {0, 0, 0},
                            Past.ZEROS,
                            true)
                    : null;
        }

        @Override
        public Tensor forward(Tensor x, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor y = x;
                if (timeConv != null) {
                    if (cache.get(this) == null) { // of the first piece the convolution remembers nothing
                        cache.put(this, Tensor.zeros(1));
                    } else {
                        y = timeConv.forward(x, cache)
                                .unflatten(1, 2, -1) // [B, 2, C, T, H, W]
                                .permute(0, 2, 3, 1, 4, 5)
                                .flatten(2, 3);
                    }
                }
                return s.keep(eachFrame(
                        y,
                        frame -> conv.forward(Functional.interpolate(
                                frame,
                                2 * frame.size(2),
                                2 * frame.size(3),
                                Functional.Interpolation.NEAREST_EXACT,
                                false,
                                false))));
            }
        }
    }

    private static Tensor eachFrame(Tensor x, Module picture) { // [B, C, T, H, W]
        return picture.forward(x.transpose(1, 2).flatten(0, 1))
                .unflatten(0, x.size(0), -1)
                .transpose(1, 2);
    }

    /** A level of 2.2: beside its layers goes a bridge of means over what a place shrinks to. */
    private static final class BridgedDown implements Layer {
        private final List<Residual> blocks;
        private final @Nullable Shrink shrink;
        private final int out;
        private final int time;
        private final int space;

        BridgedDown(Config c, Weights w, int in, int out, boolean shrinks, boolean halvesTime) {
            List<Residual> blocks = new ArrayList<>();
            for (int j = 0; j < c.layers(); j++) {
                blocks.add(new Residual(w.at("resnets").at(j), j == 0 ? in : out, out));
            }
            this.blocks = List.copyOf(blocks);
            shrink = shrinks ? new Shrink(w.at("downsampler"), out, halvesTime) : null;
            this.out = out;
            time = halvesTime ? 2 : 1;
            space = shrinks ? 2 : 1;
            Check.divides(out, (long) in * time * space * space, "a level's channels", "those of its bridge");
        }

        @Override
        public Tensor forward(Tensor x, FrameCache cache) {
            try (Scope s = Scope.open()) {
                Tensor y = x;
                for (Residual block : blocks) {
                    y = block.forward(y, cache);
                }
                y = shrink == null ? y : shrink.forward(y, cache);
                return s.keep(y.add(means(x)));
            }
        }

        private Tensor means(Tensor x) { // [B, C, T, H, W]
            long missing = (time - x.size(2) % time) % time;
            Tensor full = missing == 0 ? x : Functional.pad(x, 0., 0, 0, 0, 0, missing, 0);
            return full.unflatten(4, -1, space)
                    .unflatten(3, -1, space)
                    .unflatten(2, -1, time) // [B, C, T, t, H, s, W, s]
                    .permute(0, 1, 3, 5, 7, 2, 4, 6)
                    .flatten(1, 4)
                    .unflatten(1, out, -1)
                    .mean(2);
        }
    }

    /** A level of the decoder; in 2.2 with a bridge that repeats each place over what it grows to. */
    private static final class Up {
        private final List<Residual> blocks;
        private final @Nullable Grow grow;
        private final boolean bridged;
        private final int in;
        private final int out;
        private final int time;

        Up(Config c, Weights w, int in, int out, boolean grows, boolean doublesTime) {
            List<Residual> blocks = new ArrayList<>();
            for (int j = 0; j <= c.layers(); j++) {
                blocks.add(new Residual(w.at("resnets").at(j), j == 0 ? in : out, out));
            }
            this.blocks = List.copyOf(blocks);
            grow = grows
                    ? new Grow(
                            w.at(c.residual() ? "upsampler" : "upsamplers.0"),
                            out,
                            c.residual() ? out : out / 2,
                            doublesTime)
                    : null;
            bridged = c.residual() && grows;
            this.in = in;
            this.out = out;
            time = doublesTime ? 2 : 1;
        }

        Tensor forward(Tensor x, FrameCache cache, boolean first) {
            try (Scope s = Scope.open()) {
                Tensor y = blocks.get(0).forward(x, cache);
                for (Residual block : blocks.subList(1, blocks.size())) {
                    y = replace(y, block.forward(y, cache));
                }
                y = grow == null ? y : replace(y, grow.forward(y, cache));
                return s.keep(bridged ? y.add(repeated(x, first)) : y);
            }
        }

        private Tensor repeated(Tensor x, boolean first) { // [B, C, T, H, W]
            Tensor y = x.repeatInterleave((long) out * time * 4 / in, 1)
                    .unflatten(1, out, time, 2, 2) // [B, C, t, s, s, T, H, W]
                    .permute(0, 1, 5, 2, 6, 3, 7, 4)
                    .flatten(6, 7)
                    .flatten(4, 5)
                    .flatten(2, 3);
            return first ? y.narrow(2, time - 1L, y.size(2) - time + 1) : y;
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
