package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.Fsq;
import dev.zoetrope.models.quantize.Lfq;
import dev.zoetrope.models.quantize.Quantized;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;

/**
 * Video to tokens and back, after MAGVIT-v2 (arXiv:2310.05737): a causal 3-D convolutional network around a quantiser
 * without a table. The first frame stands alone, after it every {@code timeFactor} frames are one plane of tokens; no plane
 * depends on a later one, so a picture is the beginning of a video, and a video can go on.
 *
 * <p>B clips, T frames, P = 1 + (T - 1) / timeFactor planes, H x W pixels, h x w tokens of a plane, K codes of a token.
 */
public final class VisionTokenizer implements AutoCloseable {
    private static final int CHANNELS = 3;

    /** How numbers become codes. */
    public enum Quantizer {
        LFQ,
        FSQ
    }

    /**
     * @param timeFactor frames of a plane after the first
     * @param spaceFactor pixels of a token in height and width, an even number
     * @param width channels at twice the tokens' resolution
     * @param bottleneckWidth channels at the tokens' resolution
     * @param blocks residual blocks of the encoder at the tokens' resolution; the decoder has one more
     * @param codebooks K, the parts into which a token's code is factorised
     * @param bits of each code, for LFQ
     * @param levels of each number of a code, for FSQ
     */
    public record Config(
            int timeFactor,
            int spaceFactor,
            int width,
            int bottleneckWidth,
            int blocks,
            Quantizer quantizer,
            int codebooks,
            int bits,
            List<Integer> levels) {
        public Config {
            levels = List.copyOf(levels);
            Check.positive(timeFactor, "time_factor");
            Check.divides(2, spaceFactor, "2", "space_factor");
            Check.positive(width, "width");
            Check.positive(bottleneckWidth, "bottleneck_width");
            Check.positive(blocks, "blocks");
            Check.positive(codebooks, "codebooks");
        }

        public static Config of(Json j) {
            int[] levels = j.get("levels", new int[] {8, 8, 8});
            return new Config(
                    j.get("time_factor", 4),
                    j.get("space_factor", 4),
                    j.get("width", 64),
                    j.get("bottleneck_width", 160),
                    j.get("blocks", 2),
                    j.get("quantizer", Quantizer.LFQ),
                    j.get("codebooks", 2),
                    j.get("bits", 9),
                    java.util.Arrays.stream(levels).boxed().toList());
        }

        /** Codes of each of the K parts. */
        public int codes() {
            return quantizer == Quantizer.LFQ ? 1 << bits : levels.stream().reduce(1, Math::multiplyExact);
        }

        /** Numbers that are quantised for a token. */
        private int numbers() {
            return codebooks * (quantizer == Quantizer.LFQ ? bits : levels.size());
        }

        /** Planes of a clip; what is missing to a whole one is filled by the last frame. */
        public int planes(int frames) {
            return 1 + (frames - 1 + timeFactor - 1) / timeFactor;
        }

        /** Frames of so many planes. */
        public int frames(int planes) {
            return 1 + (planes - 1) * timeFactor;
        }
    }

    private final Config config;
    private final Weights weights;
    private final Conv2d encodeIn;
    private final Block encodeFine;
    private final Conv2d encodeDown;
    private final List<Block> encodeCoarse;
    private final GroupNorm encodeNorm;
    private final Conv2d encodeOut;
    private final Conv2d decodeIn;
    private final List<Block> decodeCoarse;
    private final Conv2d decodeUp;
    private final List<Block> decodeFine;
    private final GroupNorm decodeNorm;
    private final Conv2d decodeOut;
    private final Alphabet alphabet;

    /** One of the quantisers. {@code [N, C, h, w]} to codes {@code [N, h, w, K]} and back. */
    private interface Alphabet {
        Quantized quantize(Tensor features);

        Tensor decode(Tensor codes);

        Tensor cost(Tensor features);
    }

    public VisionTokenizer(Config c, Weights w) {
        config = c;
        weights = w;
        int fine = c.width();
        int coarse = c.bottleneckWidth();
        int pixels = c.timeFactor() * CHANNELS * c.spaceFactor() * c.spaceFactor() / 4;
        Weights e = w.at("encoder");
        encodeIn = new Conv2d(e.at("conv_in"), pixels, fine, 3, 1, 1);
        encodeFine = new Block(e.at("fine"), fine);
        encodeDown = new Conv2d(e.at("down"), 4L * fine, coarse, 1, 1, 0);
        encodeCoarse = e.at("coarse").stack(c.blocks(), at -> new Block(at, coarse));
        encodeNorm = new GroupNorm(e.at("norm"), 1, coarse, 1e-5);
        encodeOut = new Conv2d(e.at("conv_out"), coarse, c.numbers(), 1, 1, 0);
        alphabet = c.quantizer() == Quantizer.LFQ ? signs(c, w.at("quantizer")) : levels(c, w.at("quantizer"));
        Weights d = w.at("decoder");
        decodeIn = new Conv2d(d.at("conv_in"), c.numbers(), coarse, 3, 1, 1);
        decodeCoarse = d.at("coarse").stack(c.blocks() + 1, at -> new Block(at, coarse));
        decodeUp = new Conv2d(d.at("up"), coarse, 4L * fine, 1, 1, 0);
        decodeFine = d.at("fine").stack(c.blocks(), at -> new Block(at, fine));
        decodeNorm = new GroupNorm(d.at("norm"), 1, fine, 1e-5);
        decodeOut = new Conv2d(d.at("conv_out"), fine, pixels, 3, 1, 1);
    }

    public static VisionTokenizer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new VisionTokenizer(Config.of(json), w));
    }

    private static Alphabet signs(Config c, Weights w) {
        Lfq lfq = new Lfq(new Lfq.Config(c.numbers(), c.bits(), c.codebooks(), 1, false), w);
        return new Alphabet() {
            @Override
            public Quantized quantize(Tensor features) {
                return lfq.quantize(features);
            }

            @Override
            public Tensor decode(Tensor codes) {
                return lfq.decode(codes);
            }

            @Override
            public Tensor cost(Tensor features) {
                // Softer than published: with so few vectors in a batch a sharp choice has no gradient.
                return lfq.losses(features, new Lfq.LossWeights(1, 1, .1, .25)).total();
            }
        };
    }

    private static Alphabet levels(Config c, Weights w) {
        Fsq fsq = new Fsq(new Fsq.Config(c.levels(), c.numbers(), c.codebooks(), false), w);
        return new Alphabet() {
            @Override
            public Quantized quantize(Tensor features) {
                return fsq.quantize(features);
            }

            @Override
            public Tensor decode(Tensor codes) {
                return fsq.decode(codes);
            }

            @Override
            public Tensor cost(Tensor features) {
                return Tensor.scalarOf(0); // rounding to levels needs no pull
            }
        };
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * @param video {@code [B, 3, T, H, W]} in -1..1, H and W multiples of the space factor
     * @return codes {@code [B, P, h, w, K]} INT64
     */
    public Tensor encode(Tensor video) {
        try (Scope s = Scope.open()) {
            Tensor codes = alphabet.quantize(features(video)).indices(); // [B P, h, w] or [B P, h, w, K]
            Tensor all = config.codebooks() == 1 ? codes.unsqueeze(-1) : codes;
            return s.keep(all.unflatten(0, video.size(0), -1));
        }
    }

    /**
     * @param codes {@code [B, P, h, w, K]} INT64
     * @return {@code [B, 3, 1 + (P - 1) timeFactor, H, W]}, about -1..1, not clamped
     */
    public Tensor decode(Tensor codes) {
        Check.shape(codes.shape(), "codes", -1, -1, -1, -1, config.codebooks());
        if (codes.min().item() < 0 || codes.max().item() >= config.codes()) {
            throw new UserError("tokens: a code is outside 0.." + (config.codes() - 1));
        }
        try (Scope s = Scope.open()) {
            Tensor flat = codes.flatten(0, 1);
            Tensor z = alphabet.decode(config.codebooks() == 1 ? flat.squeeze(-1) : flat);
            return s.keep(video(z, codes.size(0)));
        }
    }

    /**
     * What training looks at.
     *
     * @param video as it comes back, {@code [B, 3, T, H, W]}; T as many as the planes have
     * @param cost of the quantiser, a number
     * @param codes {@code [B P, h, w, K]}
     */
    public record Trained(Tensor video, Tensor cost, Tensor codes) {}

    /** Both ways, with gradients. */
    public Trained reconstruct(Tensor video) {
        try (Scope s = Scope.open()) {
            Tensor z = features(video);
            Quantized q = alphabet.quantize(z);
            return new Trained(s.keep(video(q.values(), video.size(0))), s.keep(alphabet.cost(z)), s.keep(q.indices()));
        }
    }

    /** {@code [B, 3, T, H, W] -> [B P, C, h, w]}, before quantising. */
    private Tensor features(Tensor video) {
        Check.divides(config.spaceFactor(), video.size(3), "space_factor", "height of the video");
        Check.divides(config.spaceFactor(), video.size(4), "space_factor", "width of the video");
        long clips = video.size(0);
        try (Scope s = Scope.open()) {
            Tensor x = Functional.pixelUnshuffle(planes(video), config.spaceFactor() / 2); // [B P, c, 2h, 2w]
            Tensor h = encodeFine.forward(encodeIn.forward(x), clips);
            h = encodeDown.forward(Functional.pixelUnshuffle(h, 2)); // [B P, coarse, h, w]
            for (Block b : encodeCoarse) {
                h = b.forward(h, clips);
            }
            return s.keep(encodeOut.forward(encodeNorm.forward(h).silu()).to(DType.FLOAT32)); // rounding is exact
        }
    }

    /** Frames of a plane as channels, {@code [B P, timeFactor 3, H, W]}; the first frame is a plane that stands still. */
    private Tensor planes(Tensor video) {
        int frames = (int) video.size(2);
        int missing = config.frames(config.planes(frames)) - frames;
        Tensor first = video.narrow(2, 0, 1).expand(-1, -1, config.timeFactor() - 1, -1, -1);
        Tensor last = video.narrow(2, frames - 1, 1).expand(-1, -1, missing, -1, -1);
        return Tensor.cat(2, first, video, last)
                .transpose(1, 2) // [B, P timeFactor, 3, H, W]
                .reshape(-1, (long) config.timeFactor() * CHANNELS, video.size(3), video.size(4));
    }

    private Tensor video(Tensor z, long clips) {
        Tensor h = decodeIn.forward(z);
        for (Block b : decodeCoarse) {
            h = b.forward(h, clips);
        }
        h = Functional.pixelShuffle(decodeUp.forward(h), 2); // [B P, fine, 2h, 2w]
        for (Block b : decodeFine) {
            h = b.forward(h, clips);
        }
        Tensor y =
                Functional.pixelShuffle(decodeOut.forward(decodeNorm.forward(h).silu()), config.spaceFactor() / 2);
        Tensor frames = y.unflatten(1, config.timeFactor(), CHANNELS)
                .unflatten(0, clips, -1) // [B, P, timeFactor, 3, H, W]
                .flatten(1, 2)
                .transpose(1, 2);
        long before = config.timeFactor() - 1;
        return frames.narrow(2, before, frames.size(2) - before);
    }

    /**
     * Norm, 1x1, and a 3-D convolution that sees this plane and the one before, around which the input goes; the last starts
     * at zero. The 3-D convolution is a flat one over both planes: the same sum, several times as fast on a CPU.
     */
    private static final class Block {
        private final GroupNorm norm;
        private final Conv2d mix;
        private final Conv2d conv;

        Block(Weights w, int channels) {
            norm = new GroupNorm(w.at("norm"), 1, channels, 1e-5); // of one plane: causal
            mix = new Conv2d(w.at("mix"), channels, channels, 1, 1, 0);
            conv = new Conv2d(w.at("conv").initialised((name, init) -> Init.zeros()), 2L * channels, channels, 3, 1, 1);
        }

        Tensor forward(Tensor x, long clips) { // [B P, C, h, w]
            try (Scope s = Scope.open()) {
                Tensor h = mix.forward(norm.forward(x).silu()).silu();
                Tensor planes = h.unflatten(0, clips, -1); // [B, P, C, h, w]
                Tensor before = Tensor.cat(1, planes.narrow(1, 0, 1), planes.narrow(1, 0, planes.size(1) - 1));
                return s.keep(x.add(conv.forward(Tensor.cat(2, planes, before).flatten(0, 1))));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
