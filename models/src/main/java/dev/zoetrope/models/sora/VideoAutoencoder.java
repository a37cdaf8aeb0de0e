package dev.zoetrope.models.sora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * Video to latents and back. Frames go in groups of {@code groupFrames}: each group becomes one latent frame of 1/8 the
 * height and width. Causal in time: a group is encoded by itself and decoded with the group before it in view, so clips
 * of any length work, and a picture is a one-frame video (one group that stands still).
 *
 * <p>Both ways are a linear map of patches (drawn as the principal components of the training pictures) plus a
 * convolutional correction: the linear part makes training start where others arrive late.
 *
 * <p>B clips, T frames, G groups, K latent channels, H x W pixels, h x w = H/8 x W/8.
 */
public final class VideoAutoencoder {
    /** Pixels of a latent in height and width. */
    public static final int FACTOR = 8;

    private static final int CHANNELS = 3;

    /**
     * @param groupFrames frames a latent frame stands for
     * @param latentChannels K
     * @param width channels at 1/4 of the resolution
     * @param bottleneckWidth channels at 1/8 of the resolution
     * @param encoderBlocks residual blocks at 1/8
     * @param decoderBlocks residual blocks at 1/8, and again at 1/4
     */
    public record Config(
            int groupFrames, int latentChannels, int width, int bottleneckWidth, int encoderBlocks, int decoderBlocks) {
        public Config {
            Check.positive(groupFrames, "group_frames");
            Check.positive(latentChannels, "latent_channels");
            Check.positive(width, "width");
            Check.positive(bottleneckWidth, "bottleneck_width");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("group_frames", 4),
                    j.get("latent_channels", 32),
                    j.get("width", 96),
                    j.get("bottleneck_width", 192),
                    j.get("encoder_blocks", 2),
                    j.get("decoder_blocks", 3));
        }

        int patchValues() {
            return groupFrames * CHANNELS * FACTOR * FACTOR;
        }

        /** Latent frames of a clip of so many frames. */
        public int groups(int frames) {
            return (frames + groupFrames - 1) / groupFrames;
        }
    }

    private final Config config;
    private final Tensor latentsMean;
    private final Tensor latentsStd;
    private final Conv2d analysis;
    private final Conv2d encodeIn;
    private final Residual encodeFine;
    private final Conv2d encodeDown;
    private final List<Residual> encodeCoarse;
    private final Conv2d encodeOut;
    private final Conv2d synthesis;
    private final Conv2d decodeIn;
    private final List<Residual> decodeCoarse;
    private final Conv2d decodeUp;
    private final List<Residual> decodeFine;
    private final Conv2d decodeOut;

    public VideoAutoencoder(Config c, Weights w) {
        config = c;
        int fine = c.width();
        int coarse = c.bottleneckWidth();
        int k = c.latentChannels();
        int quarter = c.patchValues() / 4;
        latentsMean = w.buffer("latents_mean", Init.zeros(), k);
        latentsStd = w.buffer("latents_std", Init.ones(), 1);

        Weights e = w.at("encoder");
        analysis = new Conv2d(e.at("analysis"), c.patchValues(), k, 1, 1, 0);
        encodeIn = new Conv2d(e.at("conv_in"), quarter, fine, 1, 1, 0);
        encodeFine = new Residual(e.at("fine"), fine);
        encodeDown = new Conv2d(e.at("down"), 4L * fine, coarse, 1, 1, 0);
        encodeCoarse = e.at("coarse").stack(c.encoderBlocks(), at -> new Residual(at, coarse));
        encodeOut = new Conv2d(zeroed(e.at("conv_out")), coarse, k, 1, 1, 0);

        Weights d = w.at("decoder");
        synthesis = new Conv2d(d.at("synthesis"), k, c.patchValues(), 1, 1, 0);
        decodeIn = new Conv2d(d.at("conv_in"), 2L * k, coarse, 3, 1, 1);
        decodeCoarse = d.at("coarse").stack(c.decoderBlocks(), at -> new Residual(at, coarse));
        decodeUp = new Conv2d(d.at("up"), coarse, 4L * fine, 1, 1, 0);
        decodeFine = d.at("fine").stack(c.decoderBlocks(), at -> new Residual(at, fine));
        decodeOut = new Conv2d(zeroed(d.at("conv_out")), fine, quarter, 1, 1, 0);
    }

    private static Weights zeroed(Weights w) {
        return w.initialised((name, init) -> Init.zeros());
    }

    public Config config() {
        return config;
    }

    /**
     * Video to latents with mean 0 and variance 1 over the training data.
     *
     * @param video {@code [B, 3, T, H, W]} in -1..1, H and W multiples of 8; the last frame is repeated to fill a group
     * @return {@code [B, K, G, h, w]}
     */
    public Tensor encode(Tensor video) {
        try (Scope s = Scope.open()) {
            Tensor z = encodeGroups(groups(video)); // [B G, K, h, w]
            return s.keep(z.unflatten(0, video.size(0), -1)
                    .transpose(1, 2)
                    .sub(latentsMean.reshape(1, -1, 1, 1, 1))
                    .div(latentsStd));
        }
    }

    /**
     * Latents to video.
     *
     * @param latents {@code [B, K, G, h, w]}
     * @return {@code [B, 3, G * groupFrames, H, W]}, about -1..1, not clamped
     */
    public Tensor decode(Tensor latents) {
        try (Scope s = Scope.open()) {
            Tensor z = latents.mul(latentsStd)
                    .add(latentsMean.reshape(1, -1, 1, 1, 1))
                    .transpose(1, 2); // [B, G, K, h, w]
            Tensor frames = decodeGroups(z); // [B, G, groupFrames * 3, H, W]
            return s.keep(frames.unflatten(2, config.groupFrames(), CHANNELS) // [B, G, groupFrames, 3, H, W]
                    .flatten(1, 2)
                    .transpose(1, 2)); // [B, 3, T, H, W]
        }
    }

    /** Frames of a group as channels: {@code [B, 3, T, H, W] -> [B G, groupFrames * 3, H, W]}. */
    public Tensor groups(Tensor video) {
        Check.divides(FACTOR, (int) video.size(3), "patch size", "height of the video");
        Check.divides(FACTOR, (int) video.size(4), "patch size", "width of the video");
        try (Scope s = Scope.open()) {
            int frames = (int) video.size(2);
            int missing = config.groups(frames) * config.groupFrames() - frames;
            Tensor v = missing == 0
                    ? video
                    : Tensor.cat(2, video, video.narrow(2, frames - 1, 1).expand(-1, -1, missing, -1, -1));
            return s.keep(v.transpose(1, 2) // [B, T, 3, H, W]
                    .reshape(-1, (long) config.groupFrames() * CHANNELS, video.size(3), video.size(4)));
        }
    }

    /** {@code [N, groupFrames * 3, H, W] -> [N, K, h, w]}, before standardising. */
    public Tensor encodeGroups(Tensor x) {
        try (Scope s = Scope.open()) {
            Tensor h = encodeFine.forward(encodeIn.forward(Functional.pixelUnshuffle(x, 4))); // [N, fine, H/4, W/4]
            h = encodeDown.forward(Functional.pixelUnshuffle(h, 2)); // [N, coarse, h, w]
            for (Residual r : encodeCoarse) {
                h = Recompute.block(r::forward, h);
            }
            Tensor linear = analysis.forward(Functional.pixelUnshuffle(x, FACTOR)); // [N, K, h, w]
            return s.keep(linear.add(encodeOut.forward(h)));
        }
    }

    /** {@code [B, G, K, h, w] -> [B, G, groupFrames * 3, H, W]}, from latents before standardising. */
    public Tensor decodeGroups(Tensor z) {
        try (Scope s = Scope.open()) {
            Tensor before = Tensor.cat(1, z.narrow(1, 0, 1), z.narrow(1, 0, z.size(1) - 1)); // group 0 sees itself
            Tensor h = decodeIn.forward(Tensor.cat(2, z, before).flatten(0, 1)); // [B G, coarse, h, w]
            for (Residual r : decodeCoarse) {
                h = Recompute.block(r::forward, h);
            }
            h = Functional.pixelShuffle(decodeUp.forward(h), 2); // [B G, fine, H/4, W/4]
            for (Residual r : decodeFine) {
                h = Recompute.block(r::forward, h);
            }
            Tensor linear = Functional.pixelShuffle(synthesis.forward(z.flatten(0, 1)), FACTOR);
            Tensor y = linear.add(Functional.pixelShuffle(decodeOut.forward(h), 4)); // [B G, groupFrames * 3, H, W]
            return s.keep(y.unflatten(0, z.size(0), -1));
        }
    }

    /** Norm, 1x1, GELU, 3x3; the last one starts at zero, so a new block changes nothing. */
    private static final class Residual implements Module {
        private final GroupNorm norm;
        private final Conv2d mix;
        private final Conv2d conv;

        Residual(Weights w, int channels) {
            norm = new GroupNorm(w.at("norm"), 1, channels, 1e-5);
            mix = new Conv2d(w.at("mix"), channels, channels, 1, 1, 0);
            conv = new Conv2d(zeroed(w.at("conv")), channels, channels, 3, 1, 1);
        }

        @Override
        public Tensor forward(Tensor x) { // [N, C, H, W] -> [N, C, H, W]
            return x.add(conv.forward(mix.forward(norm.forward(x)).geluTanh()));
        }
    }
}
