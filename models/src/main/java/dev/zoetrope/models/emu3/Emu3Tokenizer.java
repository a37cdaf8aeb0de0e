package dev.zoetrope.models.emu3;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.Codebook;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.BatchNorm;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Resample2d;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The tokenizer of Emu3, arXiv:2409.18869: videos, and pictures as short videos of the same frame, as codes of a table.
 * Names as in Emu3-community/Emu3-Gen-hf ({@code vqmodel}).
 *
 * <p>Axes: B videos, T frames, H x W pixels, t = T / {@code temporal_downsample_factor} frames of codes, h x w codes, E
 * width of a code.
 */
public final class Emu3Tokenizer implements AutoCloseable {
    /**
     * @param codes entries of the table
     * @param codeWidth E
     * @param frames how many frames become one of codes, a power of two
     * @param channels of each level, from the picture's side
     * @param layers residual blocks of a level of the encoder; the decoder has one more
     * @param attending levels that attend within the picture
     * @param attention width of the layers that attend
     */
    public record Config(
            int codes,
            int codeWidth,
            int in,
            int out,
            int frames,
            List<Integer> channels,
            int layers,
            List<Integer> attending,
            int attention,
            int heads) {
        public Config {
            Check.positive(codes, "codebook_size");
            Check.positive(codeWidth, "embed_dim");
            Check.positive(layers, "num_res_blocks");
            if (Integer.bitCount(frames) != 1) {
                Check.divides(2, frames, "2", "temporal_downsample_factor");
            }
            Check.divides(heads, attention, "num_attention_heads", "hidden_size");
            channels = List.copyOf(channels);
            attending = List.copyOf(attending);
            Check.positive(channels.size(), "number of channel_multiplier");
            Check.equal(attention, channels.get(channels.size() - 1), "hidden_size", "the width of the last level,");
        }

        public static Config of(Json j) {
            j.expect("double_latent", false);
            int base = j.get("base_channels", 256);
            int codeWidth = j.get("embed_dim", 4);
            Check.equal(j.get("latent_channels", 4), codeWidth, "latent_channels", "embed_dim");
            return new Config(
                    j.get("codebook_size", 32768),
                    codeWidth,
                    j.get("in_channels", 3),
                    j.get("out_channels", 3),
                    j.get("temporal_downsample_factor", 4),
                    Arrays.stream(j.get("channel_multiplier", new int[] {1, 2, 2, 4}))
                            .map(m -> base * m)
                            .boxed()
                            .toList(),
                    j.get("num_res_blocks", 2),
                    Arrays.stream(j.get("attn_resolutions", new int[] {3}))
                            .boxed()
                            .toList(),
                    j.get("hidden_size", 1024),
                    j.get("num_attention_heads", 1));
        }

        /** How many pixels a code has in height and in width. */
        public int factor() {
            return 1 << (channels.size() - 1);
        }

        private int last() {
            return channels.get(channels.size() - 1);
        }

        private int halvings() {
            return Integer.numberOfTrailingZeros(frames);
        }

        private int channelsBefore(int level) {
            return channels.get(Math.max(0, level - 1));
        }
    }

    /**
     * A video as codes.
     *
     * @param codes {@code [B, t, h, w]} INT64
     * @param hidden {@code [B, t, E, h, w]}, what the encoder made before it was quantised
     */
    public record Codes(Tensor codes, Tensor hidden) {}

    private static final int GROUPS = 32;
    private static final double EPS = 1e-6;

    private final Weights weights;
    private final Config config;
    private final Encoder encoder;
    private final Decoder decoder;
    private final Embedding table;
    private final Module quantConv;
    private final Module postQuantConv;

    public Emu3Tokenizer(Config c, Weights w) {
        weights = w;
        config = c;
        encoder = new Encoder(c, w.at("encoder"));
        decoder = new Decoder(c, w.at("decoder"));
        table = new Embedding(w.at("quantize.embedding"), c.codes, c.codeWidth, Init.uniform(1.0 / c.codes));
        quantConv = causal(w.at("quant_conv"), c.codeWidth, new long[] {3, 1, 1}, 1);
        postQuantConv = causal(w.at("post_quant_conv"), c.codeWidth, new long[] {3, 1, 1}, 1);
    }

    /** The folder of a tokenizer that is published on its own. */
    public static Emu3Tokenizer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Emu3Tokenizer(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /** @param video {@code [B, T, 3, H, W]} in -1..1, T a multiple of the frames that become one */
    public Codes encode(Tensor video) {
        Check.shape(video.shape(), "video", -1, -1, config.in, -1, -1);
        Check.divides(config.frames, video.size(1), "temporal_downsample_factor", "the number of frames,");
        try (Scope s = Scope.open()) {
            Tensor hidden = encoder.forward(video); // [B, E, t, h, w]
            Tensor x = quantConv.forward(hidden);
            Tensor codes = Codebook.nearest(x.permute(0, 2, 3, 4, 1), table.weight());
            return new Codes(s.keep(codes), s.keep(hidden.transpose(1, 2)));
        }
    }

    /** A picture as a video that stands still, {@code [B, 3, H, W]}: one frame of codes. */
    public Codes encodePicture(Tensor picture) {
        Check.shape(picture.shape(), "picture", -1, config.in, -1, -1);
        return encode(picture.unsqueeze(1).expand(-1, config.frames, -1, -1, -1));
    }

    /** {@code [B, t, h, w]} INT64 -> {@code [B, T, 3, H, W]}, about -1..1. */
    public Tensor decode(Tensor codes) {
        Check.shape(codes.shape(), "codes", -1, -1, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor quantized = table.forward(codes).permute(0, 4, 1, 2, 3).contiguous(); // [B, E, t, h, w]
            return s.keep(decoder.forward(postQuantConv.forward(quantized), quantized));
        }
    }

    /** The first of the frames that codes {@code [B, h, w]} become, {@code [B, 3, H, W]}. */
    public Tensor decodePicture(Tensor codes) {
        try (Scope s = Scope.open()) {
            return s.keep(decode(codes.unsqueeze(1)).select(1, 0));
        }
    }

    @Override
    public void close() {
        weights.close();
    }

    /** Two frames of zeros stand before the first, whatever the kernel, so no frame sees a later one. */
    private static Module causal(Weights w, int channels, long[] kernel, long frameStride) {
        long side = kernel[1] / 2;
        Conv3d conv = new Conv3d(
                w.at("conv"),
                channels,
                channels,
                kernel,
                new long[] {frameStride, 1, 1},
                new long[] {0, side, side},
                Conv3d.Past.PADDED,
                true);
        return x -> conv.forward(Functional.pad(x, 0., 0, 0, 0, 0, 2, 0));
    }

    private static Module norm(Weights w, int channels) {
        return new GroupNorm(w, GROUPS, channels, EPS);
    }

    /** Makes the norm of a block: of pictures, or steered by codes. */
    private interface Norms<N> {
        N of(Weights w, int channels);
    }

    /** Group norm whose scale and shift come from the codes at each place, arXiv:2209.09002. */
    private static final class SpatialNorm {
        private final GroupNorm norm;
        private final Conv2d scale;
        private final Conv2d shift;

        SpatialNorm(Weights w, int codeWidth, int channels) {
            norm = new GroupNorm(w.at("norm_layer"), GROUPS, channels, EPS);
            scale = new Conv2d(w.at("conv_y"), codeWidth, channels, 1, 1, 0);
            shift = new Conv2d(w.at("conv_b"), codeWidth, channels, 1, 1, 0);
        }

        Tensor forward(Tensor x, Tensor codes) {
            try (Scope s = Scope.open()) {
                Tensor at = Resample2d.repeat(codes, x.size(2), x.size(3));
                return s.keep(norm.forward(x).mul(scale.forward(at)).add(shift.forward(at)));
            }
        }
    }

    /** Norm, activation and convolution, twice; the norms are those of the encoder or of the decoder. */
    private static final class Residual<N> {
        private final N norm1;
        private final Conv2d conv1;
        private final N norm2;
        private final Conv2d conv2;
        private final @Nullable Conv2d shortcut;

        Residual(Weights w, Norms<N> norms, int in, int out) {
            norm1 = norms.of(w.at("norm1"), in);
            conv1 = new Conv2d(w.at("conv1"), in, out, 3, 1, 1);
            norm2 = norms.of(w.at("norm2"), out);
            conv2 = new Conv2d(w.at("conv2"), out, out, 3, 1, 1);
            shortcut = in == out ? null : new Conv2d(w.at("nin_shortcut"), in, out, 1, 1, 0);
        }

        Tensor forward(Tensor x, Function<N, Module> norm) {
            try (Scope s = Scope.open()) {
                Tensor y = Steps.run(x, norm.apply(norm1), Tensor::silu, conv1, norm.apply(norm2), Tensor::silu, conv2);
                return s.keep((shortcut == null ? x : shortcut.forward(x)).add(y));
            }
        }
    }

    /** Attention among all places of a picture, behind a norm of its own. */
    private static final class Places<N> {
        private final Attention attention;
        private final N norm;

        Places(Config c, Weights attention, N norm) {
            this.attention =
                    Attention.of(attention, c.attention, c.heads, true, "q_proj", "k_proj", "v_proj", "out_proj");
            this.norm = norm;
        }

        Tensor forward(Tensor x, Function<N, Module> by) {
            try (Scope s = Scope.open()) {
                Tensor places = by.apply(norm).forward(x).flatten(2).transpose(1, 2); // [N, H W, C]
                Tensor y = attention.forward(places).transpose(1, 2).reshape(x.shape());
                return s.keep(x.add(y));
            }
        }
    }

    /** Residual blocks of one size of picture, each followed by attention where the level attends. */
    private static final class Level<N> {
        private final List<Residual<N>> blocks = new ArrayList<>();
        private final List<Places<N>> places = new ArrayList<>();

        Level(Config c, Weights w, Norms<N> norms, int level, int count, int in) {
            int out = c.channels.get(level);
            for (int i = 0; i < count; i++) {
                blocks.add(new Residual<>(w.at("block").at(i), norms, i == 0 ? in : out, out));
                if (c.attending.contains(level)) {
                    Weights attention = w.at("attn").at(i);
                    places.add(new Places<>(
                            c, attention, norms.of(w.at("attn_norms").at(i), out)));
                }
            }
        }

        Tensor forward(Tensor x, Function<N, Module> norm) {
            try (Scope s = Scope.open()) {
                Tensor y = x;
                for (int i = 0; i < blocks.size(); i++) {
                    y = s.replace(y, blocks.get(i).forward(y, norm));
                    if (!places.isEmpty()) {
                        y = s.replace(y, places.get(i).forward(y, norm));
                    }
                }
                return s.keep(y);
            }
        }
    }

    private static final class Middle<N> {
        private final Residual<N> first;
        private final Places<N> places;
        private final Residual<N> second;

        Middle(Config c, Weights w, Norms<N> norms) {
            first = new Residual<>(w.at("block_1"), norms, c.last(), c.last());
            places = new Places<>(c, w.at("attn_1"), norms.of(w.at("attn_norm"), c.last()));
            second = new Residual<>(w.at("block_2"), norms, c.last(), c.last());
        }

        Tensor forward(Tensor x, Function<N, Module> norm) {
            try (Scope s = Scope.open()) {
                return s.keep(Steps.run(
                        x, y -> first.forward(y, norm), y -> places.forward(y, norm), y -> second.forward(y, norm)));
            }
        }
    }

    /** Residual block over time and place. */
    private static final class TimeResidual implements Module {
        private final List<Module> layers;

        TimeResidual(Weights w, int channels) {
            long[] cube = {3, 3, 3};
            layers = List.of(
                    new BatchNorm(w.at("norm1"), channels, 1e-5, 0.1),
                    Tensor::silu,
                    causal(w.at("conv1"), channels, cube, 1),
                    new BatchNorm(w.at("norm2"), channels, 1e-5, 0.1),
                    Tensor::silu,
                    causal(w.at("conv2"), channels, cube, 1));
        }

        @Override
        public Tensor forward(Tensor x) { // [B, E, t, h, w]
            try (Scope s = Scope.open()) {
                return s.keep(x.add(Steps.run(x, layers)));
            }
        }
    }

    /** Frame by frame down to latents, then over time. */
    private static final class Encoder {
        private final Conv2d in;
        private final List<Level<Module>> levels = new ArrayList<>();
        private final List<Module> downs = new ArrayList<>();
        private final Middle<Module> middle;
        private final Module outNorm;
        private final Conv2d out;
        private final List<Module> time = new ArrayList<>();

        Encoder(Config c, Weights w) {
            in = new Conv2d(w.at("conv_in"), c.in, c.channels.get(0), 3, 1, 1);
            for (int i = 0; i < c.channels.size(); i++) {
                Weights at = w.at("down_block.down").at(i);
                levels.add(new Level<>(c, at, Emu3Tokenizer::norm, i, c.layers, c.channelsBefore(i)));
                if (i + 1 < c.channels.size()) {
                    downs.add(Resample2d.down(at.at("downsample"), c.channels.get(i), 0));
                }
            }
            middle = new Middle<>(c, w.at("middle_block"), Emu3Tokenizer::norm);
            outNorm = norm(w.at("norm_out"), c.last());
            out = new Conv2d(w.at("conv_out"), c.last(), c.codeWidth, 3, 1, 1);
            for (int i = 0; i < c.halvings(); i++) {
                time.add(causal(w.at("time_conv").at(i).at("conv"), c.codeWidth, new long[] {4, 3, 3}, 2));
                time.add(Tensor::silu);
            }
            for (int i = 0; i < c.layers; i++) {
                time.add(new TimeResidual(w.at("time_res_stack").at(i), c.codeWidth));
            }
        }

        Tensor forward(Tensor video) { // [B, T, 3, H, W] -> [B, E, t, h, w]
            try (Scope s = Scope.open()) {
                Tensor x = in.forward(video.flatten(0, 1)); // [B T, C, H, W]
                for (int i = 0; i < levels.size(); i++) {
                    x = s.replace(x, levels.get(i).forward(x, norm -> norm));
                    if (i < downs.size()) {
                        x = s.replace(x, downs.get(i).forward(x));
                    }
                }
                x = s.replace(x, middle.forward(x, norm -> norm));
                Tensor frames = Steps.run(x, outNorm, Tensor::silu, out)
                        .unflatten(0, video.size(0), video.size(1))
                        .transpose(1, 2); // [B, E, T, h, w]
                return s.keep(Steps.run(frames, time));
            }
        }
    }

    /** Over time, then frame by frame up to pixels; the codes steer every norm. */
    private static final class Decoder {
        private final List<Module> time = new ArrayList<>();
        private final Conv2d in;
        private final Middle<SpatialNorm> middle;
        private final List<Level<SpatialNorm>> levels = new ArrayList<>(); // from the codes' side
        private final List<Resample2d.Up> ups = new ArrayList<>();
        private final SpatialNorm outNorm;
        private final Conv2d out;

        Decoder(Config c, Weights w) {
            Norms<SpatialNorm> norms = (at, channels) -> new SpatialNorm(at, c.codeWidth, channels);
            for (int i = 0; i < c.layers; i++) {
                time.add(new TimeResidual(w.at("time_res_stack").at(i), c.codeWidth));
            }
            for (int i = 0; i < c.halvings(); i++) {
                Module conv = causal(w.at("time_conv").at(i).at("conv"), c.codeWidth, new long[] {3, 3, 3}, 1);
                time.add(x -> conv.forward(x.repeatInterleave(2, 2)));
                time.add(Tensor::silu);
            }
            in = new Conv2d(w.at("conv_in"), c.codeWidth, c.last(), 3, 1, 1);
            middle = new Middle<>(c, w.at("middle_block"), norms);
            int width = c.last();
            for (int i = c.channels.size() - 1; i >= 0; i--) {
                Weights at = w.at("up_block.up").at(i);
                levels.add(new Level<>(c, at, norms, i, c.layers + 1, width));
                width = c.channels.get(i);
                if (i > 0) {
                    ups.add(new Resample2d.Up(at.at("upsample"), width));
                }
            }
            outNorm = new SpatialNorm(w.at("norm_out"), c.codeWidth, width);
            out = new Conv2d(w.at("conv_out"), width, c.out, 3, 1, 1);
        }

        Tensor forward(Tensor latents, Tensor codes) { // [B, E, t, h, w] each -> [B, T, 3, H, W]
            try (Scope s = Scope.open()) {
                Tensor both = Steps.run(Tensor.cat(0, latents, codes), time); // [2 B, E, T, h, w]
                List<Tensor> parts = both.transpose(1, 2).chunk(2, 0);
                Tensor steering = parts.get(1).flatten(0, 1); // [B T, E, h, w]
                Function<SpatialNorm, Module> norm = n -> x -> n.forward(x, steering);
                Tensor x = in.forward(parts.get(0).flatten(0, 1));
                x = s.replace(x, middle.forward(x, norm));
                for (int i = 0; i < levels.size(); i++) {
                    x = s.replace(x, levels.get(i).forward(x, norm));
                    if (i < ups.size()) {
                        x = s.replace(x, ups.get(i).forward(x));
                    }
                }
                Tensor y = Steps.run(x, norm.apply(outNorm), Tensor::silu, out);
                return s.keep(y.unflatten(0, latents.size(0), -1));
            }
        }
    }
}
