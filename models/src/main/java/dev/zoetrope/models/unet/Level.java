package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.PictureAttention;
import dev.zoetrope.nn.Resample2d;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** All that happens at one resolution, on the way down, at the bottom or on the way up. */
@FunctionalInterface
interface Level {
    void run(Pass pass);

    /**
     * One level as a configuration describes it.
     *
     * @param type diffusers' name of the kind of block
     * @param in channels that come in; on the way up from below
     * @param skip channels of the last thing that the way down left for this level
     * @param layers residual blocks
     * @param resampled whether it is not the last of its way
     * @param style of the residual blocks
     * @param scaledStyle of those in blocks that resample by residual blocks
     * @param headSize of attention within the picture
     * @param padding of the convolution that halves
     * @param resampleType how blocks with attention within the picture resample, {@code conv} or {@code resnet}
     * @param text attention to text; null where the network has none
     */
    record Plan(
            String type,
            int in,
            int out,
            int skip,
            int layers,
            boolean resampled,
            ResnetBlock.Style style,
            ResnetBlock.Style scaledStyle,
            int headSize,
            int padding,
            String resampleType,
            SpatialTransformer.@Nullable Config text) {
        private static final String RESIDUAL = "UNetRes"; // an early prefix of the same kinds

        private String kind() {
            return type.startsWith(RESIDUAL) ? type.substring(RESIDUAL.length()) : type;
        }

        private PictureAttention attention(Weights w) {
            return new PictureAttention(w, out, headSize, style.groups(), style.eps(), style.scale());
        }

        private SpatialTransformer transformer(Weights w, int layer) {
            if (text == null) {
                throw new UserError(type + " needs cross_attention_dim");
            }
            return new SpatialTransformer(text, out, layer, w);
        }
    }

    /** The way down, by its kind. */
    static Level down(Plan p, Weights w) {
        return switch (p.kind()) {
            case "DownBlock2D" -> new DownLevel(p, w, null, shrink(p, w));
            case "AttnDownBlock2D" ->
                new DownLevel(
                        p,
                        w,
                        at -> within(p, w.at("attentions").at(at)),
                        p.resampleType().equals("resnet")
                                ? resampling(p, p.style(), w.at("downsamplers.0"), Resample2d::halve)
                                : shrink(p, w));
            case "CrossAttnDownBlock2D" ->
                new DownLevel(p, w, at -> p.transformer(w.at("attentions").at(at), at)::forward, shrink(p, w));
            case "ResnetDownsampleBlock2D" ->
                new DownLevel(
                        p,
                        p.scaledStyle(),
                        w,
                        null,
                        resampling(p, p.scaledStyle(), w.at("downsamplers.0"), Resample2d::halve));
            case "SkipDownBlock2D" -> new SkipDownLevel(p, w, false);
            case "AttnSkipDownBlock2D" -> new SkipDownLevel(p, w, true);
            default ->
                throw new UserError("down_block_types " + p.type() + " is not supported; supported: DownBlock2D, "
                        + "AttnDownBlock2D, CrossAttnDownBlock2D, ResnetDownsampleBlock2D, SkipDownBlock2D, "
                        + "AttnSkipDownBlock2D");
        };
    }

    /** The way up, by its kind. */
    static Level up(Plan p, Weights w) {
        return switch (p.kind()) {
            case "UpBlock2D" -> new UpLevel(p, w, null, grow(p, w), null);
            case "AttnUpBlock2D" -> {
                boolean resnet = p.resampleType().equals("resnet");
                yield new UpLevel(
                        p,
                        w,
                        at -> within(p, w.at("attentions").at(at)),
                        resnet ? null : grow(p, w),
                        resnet ? resampling(p, p.style(), w.at("upsamplers.0"), Resample2d::repeat) : null);
            }
            case "CrossAttnUpBlock2D" ->
                new UpLevel(p, w, at -> p.transformer(w.at("attentions").at(at), at)::forward, grow(p, w), null);
            case "ResnetUpsampleBlock2D" ->
                new UpLevel(
                        p,
                        p.scaledStyle(),
                        w,
                        null,
                        null,
                        resampling(p, p.scaledStyle(), w.at("upsamplers.0"), Resample2d::repeat));
            case "SkipUpBlock2D" -> new SkipUpLevel(p, w, false);
            case "AttnSkipUpBlock2D" -> new SkipUpLevel(p, w, true);
            default ->
                throw new UserError("up_block_types " + p.type() + " is not supported; supported: UpBlock2D, "
                        + "AttnUpBlock2D, CrossAttnUpBlock2D, ResnetUpsampleBlock2D, SkipUpBlock2D, AttnSkipUpBlock2D");
        };
    }

    /** The bottom: residual blocks with a mixer between. */
    static Level middle(ResnetBlock.Style style, int width, List<Mixer> mixers, Weights w) {
        List<ResnetBlock> resnets =
                w.at("resnets").stack(mixers.size() + 1, at -> new ResnetBlock(at, style, width, width));
        return pass -> {
            Pass.Steering c = pass.steering();
            for (int i = 0; i < resnets.size(); i++) {
                ResnetBlock resnet = resnets.get(i);
                if (i > 0) {
                    Mixer mixer = mixers.get(i - 1);
                    pass.step(x -> mixer.forward(x, c));
                }
                pass.step(x -> resnet.forward(x, c.time()));
            }
            pass.watched(w.path());
        };
    }

    private static Mixer within(Plan p, Weights w) {
        PictureAttention attention = p.attention(w);
        return (x, steering) -> attention.forward(x);
    }

    private static @Nullable Mixer shrink(Plan p, Weights w) {
        if (!p.resampled()) {
            return null;
        }
        Module down = Resample2d.down(w.at("downsamplers.0"), p.out(), p.padding());
        return (x, steering) -> down.forward(x);
    }

    private static Resample2d.@Nullable Up grow(Plan p, Weights w) {
        return p.resampled() ? new Resample2d.Up(w.at("upsamplers.0"), p.out()) : null;
    }

    private static @Nullable Mixer resampling(Plan p, ResnetBlock.Style style, Weights w, Module resample) {
        if (!p.resampled()) {
            return null;
        }
        ResnetBlock block = new ResnetBlock(w, style, p.out(), p.out(), resample, false);
        return (x, steering) -> block.forward(x, steering.time());
    }

    /** Residual blocks, each with what mixes after it, then what halves. All but the halving is left for the way up. */
    final class DownLevel implements Level {
        private final String path;
        private final List<ResnetBlock> resnets = new ArrayList<>();
        private final List<Mixer> mixers = new ArrayList<>();
        private final @Nullable Mixer shrink;

        DownLevel(Plan p, Weights w, @Nullable IntFunction<Mixer> mixer, @Nullable Mixer shrink) {
            this(p, p.style(), w, mixer, shrink);
        }

        DownLevel(
                Plan p,
                ResnetBlock.Style style,
                Weights w,
                @Nullable IntFunction<Mixer> mixer,
                @Nullable Mixer shrink) {
            Check.positive(p.layers(), "layers_per_block");
            path = w.path();
            for (int i = 0; i < p.layers(); i++) {
                resnets.add(new ResnetBlock(w.at("resnets").at(i), style, i == 0 ? p.in() : p.out(), p.out()));
                if (mixer != null) {
                    mixers.add(mixer.apply(i));
                }
            }
            this.shrink = shrink;
        }

        @Override
        public void run(Pass pass) {
            Pass.Steering c = pass.steering();
            for (int i = 0; i < resnets.size(); i++) {
                ResnetBlock resnet = resnets.get(i);
                pass.step(x -> resnet.forward(x, c.time()));
                if (!mixers.isEmpty()) {
                    Mixer mixer = mixers.get(i);
                    pass.step(x -> mixer.forward(x, c));
                }
                pass.remember();
            }
            if (shrink != null) {
                pass.step(x -> shrink.forward(x, c));
                pass.remember();
            }
            pass.watched(path);
        }
    }

    /** Residual blocks over what comes from below and what the way down left, then what doubles. */
    final class UpLevel implements Level {
        private final String path;
        private final List<ResnetBlock> resnets = new ArrayList<>();
        private final List<Mixer> mixers = new ArrayList<>();
        private final Resample2d.@Nullable Up grow;
        private final @Nullable Mixer growingBlock;

        UpLevel(
                Plan p,
                Weights w,
                @Nullable IntFunction<Mixer> mixer,
                Resample2d.@Nullable Up grow,
                @Nullable Mixer growingBlock) {
            this(p, p.style(), w, mixer, grow, growingBlock);
        }

        UpLevel(
                Plan p,
                ResnetBlock.Style style,
                Weights w,
                @Nullable IntFunction<Mixer> mixer,
                Resample2d.@Nullable Up grow,
                @Nullable Mixer growingBlock) {
            path = w.path();
            for (int i = 0; i < p.layers(); i++) {
                int below = i == 0 ? p.in() : p.out();
                int left = i == p.layers() - 1 ? p.skip() : p.out();
                resnets.add(new ResnetBlock(w.at("resnets").at(i), style, below + left, p.out()));
                if (mixer != null) {
                    mixers.add(mixer.apply(i));
                }
            }
            this.grow = grow;
            this.growingBlock = growingBlock;
        }

        @Override
        public void run(Pass pass) {
            Pass.Steering c = pass.steering();
            for (int i = 0; i < resnets.size(); i++) {
                ResnetBlock resnet = resnets.get(i);
                pass.join();
                pass.step(x -> resnet.forward(x, c.time()));
                if (!mixers.isEmpty()) {
                    Mixer mixer = mixers.get(i);
                    pass.step(x -> mixer.forward(x, c));
                }
            }
            if (grow
                    != null) { // to the size below which the way down came, which an odd number halves to half and more
                long height = pass.next().size(2);
                long width = pass.next().size(3);
                pass.step(x -> grow.forward(x, height, width));
            }
            if (growingBlock != null) {
                pass.step(x -> growingBlock.forward(x, c));
            }
            pass.watched(path);
        }
    }
}
