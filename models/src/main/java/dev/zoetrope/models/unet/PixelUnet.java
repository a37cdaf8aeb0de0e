package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.PictureAttention;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * U-Net that is steered by time alone, or by classes too, arXiv:2006.11239, names as in google/ddpm-cifar10-32, and as
 * in CompVis/ldm-super-resolution-4x-openimages, where it works on latents. The score networks of arXiv:2011.13456
 * ({@code Skip} blocks, Fourier features) are options of it.
 *
 * <p>Axes: B pictures, C channels, H x W rows and columns, E width of the embedding of time.
 */
public final class PixelUnet implements AutoCloseable {
    /** How a timestep becomes features. */
    public enum TimeKind {
        POSITIONAL,
        /** Sines and cosines of random frequencies of the timestep's logarithm; the answer is divided by the timestep. */
        FOURIER,
        LEARNED
    }

    /** What a label is. */
    public enum LabelKind {
        NONE,
        CLASS,
        TIMESTEP,
        FEATURES
    }

    /**
     * @param height of the pictures trained on; 0 where the configuration does not say
     * @param centred whether pictures come in 0..1
     * @param timeWidth E
     * @param headSize channels of a head of attention; 0 for one head
     * @param midGroups of the norm of the attention at the bottom; 0 for none
     * @param classes for labels that are classes
     * @param timesteps trained with, where their features are learned
     */
    public record Config(
            int height,
            int width,
            int inChannels,
            int outChannels,
            boolean centred,
            TimeKind timeKind,
            int timeWidth,
            Timesteps waves,
            List<String> down,
            boolean hasMiddle,
            List<String> up,
            List<Integer> channels,
            int layers,
            double midScale,
            int padding,
            String downsampleType,
            String upsampleType,
            ResnetBlock.Style style,
            int headSize,
            int midGroups,
            boolean midAttention,
            LabelKind labels,
            int classes,
            int timesteps) {
        public Config {
            Check.equal(down.size(), up.size(), "length of down_block_types", "of up_block_types");
            Check.equal(channels.size(), down.size(), "length of block_out_channels", "of down_block_types");
            Check.positive(inChannels, "in_channels");
            Check.positive(outChannels, "out_channels");
            Check.positive(layers, "layers_per_block");
            Check.oneOf(downsampleType, "downsample_type", "conv", "resnet");
            Check.oneOf(upsampleType, "upsample_type", "conv", "resnet");
        }

        public static Config of(Json j) {
            List<Integer> channels = PerLevel.list(j, "block_out_channels", 224, 448, 672, 896);
            TimeKind timeKind = j.get("time_embedding_type", TimeKind.POSITIONAL);
            int timeWidth = j.get("time_embedding_dim", 4 * channels.get(0));
            boolean scaleShift = scaleShift(j);
            int groups = j.get("norm_num_groups", 32);
            int[] size = j.pair("sample_size", 0);
            return new Config(
                    size[0],
                    size[1],
                    j.get("in_channels", 3),
                    j.get("out_channels", 3),
                    j.get("center_input_sample", false),
                    timeKind,
                    timeWidth,
                    new Timesteps(channels.get(0), j.get("flip_sin_to_cos", true), j.get("freq_shift", 0.)),
                    j.get(
                            "down_block_types",
                            List.of("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")),
                    hasMiddle(j, "UNetMidBlock2D"),
                    j.get("up_block_types", List.of("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")),
                    channels,
                    j.get("layers_per_block", 2),
                    j.get("mid_block_scale_factor", 1.),
                    j.get("downsample_padding", 1),
                    j.get("downsample_type", "conv"),
                    j.get("upsample_type", "conv"),
                    new ResnetBlock.Style(
                            timeWidth,
                            groups,
                            groups,
                            j.get("norm_eps", 1e-5),
                            j.get("act_fn", Act.SILU, Act::of),
                            scaleShift,
                            false,
                            1,
                            j.get("dropout", 0.)),
                    headSize(j),
                    j.get("attn_norm_num_groups", scaleShift ? 0 : groups),
                    j.get("add_attention", true),
                    labels(j),
                    j.get("num_class_embeds", 0),
                    j.get("num_train_timesteps", 0));
        }

        /** A null, which says one head, differs from an absent key, which says heads of eight channels. */
        private static int headSize(Json j) {
            return j.get("attention_head_dim", j.keys().contains("attention_head_dim") ? 0 : 8);
        }

        private static LabelKind labels(Json j) {
            return switch (j.get("class_embed_type", "")) {
                case "" -> j.has("num_class_embeds") ? LabelKind.CLASS : LabelKind.NONE;
                case "timestep" -> LabelKind.TIMESTEP;
                case "identity" -> LabelKind.FEATURES;
                default -> throw j.unsupported("class_embed_type", "null, timestep, identity");
            };
        }

        static boolean scaleShift(Json j) {
            return switch (j.get("resnet_time_scale_shift", "default")) {
                case "default" -> false;
                case "scale_shift" -> true;
                default -> throw j.unsupported("resnet_time_scale_shift", "default, scale_shift");
            };
        }

        static boolean hasMiddle(Json j, String only) {
            if (j.keys().contains("mid_block_type") && !j.has("mid_block_type")) {
                return false;
            }
            j.expect("mid_block_type", only);
            return true;
        }

        int headSize(int width) {
            return headSize == 0 ? width : headSize;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv2d convIn;
    private final Module timeFeatures;
    private final TimeEmbedding timeEmbedding;
    private final @Nullable Embedding classes;
    private final @Nullable TimeEmbedding labelTime;
    private final List<Level> down = new ArrayList<>();
    private final @Nullable Level middle;
    private final List<Level> up = new ArrayList<>();
    private final GroupNorm convNormOut;
    private final Conv2d convOut;

    public PixelUnet(Config c, Weights w) {
        weights = w;
        config = c;
        int first = c.channels.get(0);
        convIn = new Conv2d(w.at("conv_in"), c.inChannels, first, 3, 1, 1);
        timeFeatures = timeFeatures(c, w.at("time_proj"));
        int features = c.timeKind == TimeKind.FOURIER ? 2 * first : first;
        timeEmbedding = new TimeEmbedding(w.at("time_embedding"), features, c.timeWidth, Act.SILU);
        classes = c.labels == LabelKind.CLASS ? new Embedding(w.at("class_embedding"), c.classes, c.timeWidth) : null;
        labelTime = c.labels == LabelKind.TIMESTEP
                ? new TimeEmbedding(w.at("class_embedding"), features, c.timeWidth, Act.SILU)
                : null;
        int levels = c.channels.size();
        int last = c.channels.get(levels - 1);
        for (int i = 0; i < levels; i++) {
            int in = c.channels.get(Math.max(i - 1, 0));
            int out = c.channels.get(i);
            down.add(Level.down(
                    plan(c, c.down.get(i), in, out, 0, c.layers, i + 1 < levels, c.downsampleType),
                    w.at("down_blocks").at(i)));
        }
        middle = c.hasMiddle ? middle(c, last, w.at("mid_block")) : null;
        List<Integer> rising = new ArrayList<>(c.channels);
        Collections.reverse(rising);
        for (int i = 0; i < levels; i++) {
            int in = rising.get(Math.max(i - 1, 0));
            int skip = rising.get(Math.min(i + 1, levels - 1));
            up.add(Level.up(
                    plan(c, c.up.get(i), in, rising.get(i), skip, c.layers + 1, i + 1 < levels, c.upsampleType),
                    w.at("up_blocks").at(i)));
        }
        convNormOut = new GroupNorm(w.at("conv_norm_out"), c.style.groups(), first, c.style.eps());
        convOut = new Conv2d(w.at("conv_out"), first, c.outChannels, 3, 1, 1);
    }

    /** The folder of a network, such as {@code unet} of a pipeline. */
    public static PixelUnet load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new PixelUnet(Config.of(json), w));
    }

    private static Level.Plan plan(
            Config c, String type, int in, int out, int skip, int layers, boolean resampled, String resampleType) {
        return new Level.Plan(
                type,
                in,
                out,
                skip,
                layers,
                resampled,
                c.style,
                c.style,
                c.headSize(out),
                c.padding,
                resampleType,
                null);
    }

    private static Level middle(Config c, int width, Weights w) {
        ResnetBlock.Style style = c.style.withScale(c.midScale);
        Mixer mixer = (x, steering) -> x.alias();
        if (c.midAttention) {
            PictureAttention attention = new PictureAttention(
                    w.at("attentions.0"), width, c.headSize(width), c.midGroups, style.eps(), c.midScale);
            mixer = (x, steering) -> attention.forward(x);
        }
        return Level.middle(style, width, List.of(mixer), w);
    }

    private static Module timeFeatures(Config c, Weights w) {
        int first = c.channels.get(0);
        return switch (c.timeKind) {
            case POSITIONAL -> c.waves;
            case LEARNED -> {
                Embedding table = new Embedding(w, c.timesteps, first);
                yield t -> table.forward(t.to(DType.INT64));
            }
            case FOURIER -> {
                Tensor frequencies = w.buffer("weight", Init.normal(FOURIER_SCALE), first);
                yield t -> fourier(t.to(DType.FLOAT32).log(), frequencies);
            }
        };
    }

    private static final double FOURIER_SCALE = 16;

    private static Tensor fourier(Tensor t, Tensor frequencies) { // [B] -> [B, 2 F]
        Tensor angles = t.unsqueeze(1).mul(frequencies.unsqueeze(0)).mul(2 * Math.PI);
        return Tensor.cat(-1, angles.sin(), angles.cos());
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * @param sample noisy, {@code [B, C, H, W]}
     * @param timesteps {@code [B]}
     * @param labels {@code [B]} classes (INT64) or noise levels, or features {@code [B, E]}; null exactly where the
     *     network takes none
     * @return what the scheduler's prediction type says, {@code [B, out channels, H, W]}
     */
    public Tensor forward(Tensor sample, Tensor timesteps, @Nullable Tensor labels) {
        return forward(sample, timesteps, labels, (name, t) -> {});
    }

    /** As the other; {@code watch} is handed what named parts make, as long as it lives. */
    public Tensor forward(Tensor sample, Tensor timesteps, @Nullable Tensor labels, BiConsumer<String, Tensor> watch) {
        Check.shape(sample.shape(), "sample", -1, config.inChannels, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor time = timeEmbedding.forward(timeFeatures.forward(timesteps)); // [B, E]
            watch.accept("time_embedding", time);
            Tensor label = label(labels);
            Tensor picture = config.centred ? sample.mul(2.0).sub(1.0) : sample;
            Pass pass = new Pass(
                    picture, new Pass.Steering(label == null ? time : time.add(label), null, null, null, watch));
            pass.setPicture(picture);
            pass.step(convIn::forward);
            pass.watched("conv_in");
            pass.remember();
            down.forEach(level -> level.run(pass));
            if (middle != null) {
                middle.run(pass);
            }
            pass.setPicture(null);
            up.forEach(level -> level.run(pass));
            Tensor y = Steps.run(pass.x(), convNormOut, Tensor::silu, convOut);
            Tensor added = pass.picture();
            if (added != null) {
                y = y.add(added);
            }
            if (config.timeKind == TimeKind.FOURIER) {
                y = y.div(timesteps.to(y.dtype()).reshape(-1, 1, 1, 1));
            }
            return s.keep(y);
        }
    }

    private @Nullable Tensor label(@Nullable Tensor labels) {
        if ((labels == null) != (config.labels == LabelKind.NONE)) {
            throw new UserError(
                    labels == null ? "the network needs class labels" : "the network takes no class labels");
        }
        if (labels == null) {
            return null;
        }
        if (classes != null) {
            return classes.forward(labels);
        }
        return labelTime == null ? labels : labelTime.forward(timeFeatures.forward(labels));
    }

    @Override
    public void close() {
        weights.close();
    }
}
