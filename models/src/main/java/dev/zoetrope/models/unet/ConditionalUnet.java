package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
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
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * U-Net that is steered by text through cross-attention, arXiv:2112.10752, names as in
 * stable-diffusion-v1-5/stable-diffusion-v1-5 (its {@code unet}): Stable Diffusion 1 and 2, SDXL (arXiv:2307.01952),
 * their in-painting and up-scaling kin, those with boxes (arXiv:2301.07093), and AudioLDM's, where a clip's features
 * stand in for the text.
 *
 * <p>Axes: B pictures, C channels, H x W rows and columns of latents, T tokens of text, F features of a token, E width of
 * the embedding of time.
 */
public final class ConditionalUnet implements AutoCloseable {
    /** What labels are, if the network takes any. */
    public enum LabelKind {
        NONE,
        /** Numbers of classes. */
        CLASS,
        /** Numbers, which become features as timesteps do. */
        TIMESTEP,
        /** Features as wide as the embedding of time, added as they are. */
        IDENTITY,
        /** Features that pass two layers. */
        PROJECTION,
        /** Features that pass one layer. */
        SIMPLE_PROJECTION
    }

    /** How the embedding of time comes to be: all widths, activations and what is added to it. */
    public record Time(
            int width,
            boolean fourier,
            Timesteps waves,
            Act act,
            Act postAct,
            Act lastAct,
            int guidanceWidth,
            LabelKind labels,
            int classes,
            int labelWidth,
            boolean appended,
            int sizeWidth) {
        static Time of(Json j, int first, Act act) {
            boolean fourier =
                    switch (j.get("time_embedding_type", "positional")) {
                        case "positional" -> false;
                        case "fourier" -> true;
                        default -> throw j.unsupported("time_embedding_type", "positional, fourier");
                    };
            boolean sizes =
                    switch (j.get("addition_embed_type", "")) {
                        case "" -> false;
                        case "text_time" -> true;
                        default -> throw j.unsupported("addition_embed_type", "null, text_time");
                    };
            LabelKind labels = j.has("class_embed_type")
                    ? j.get("class_embed_type", LabelKind.NONE)
                    : j.has("num_class_embeds") ? LabelKind.CLASS : LabelKind.NONE;
            boolean needsWidth = sizes || labels == LabelKind.PROJECTION || labels == LabelKind.SIMPLE_PROJECTION;
            return new Time(
                    j.get("time_embedding_dim", fourier ? 2 * first : 4 * first),
                    fourier,
                    new Timesteps(first, j.get("flip_sin_to_cos", true), j.get("freq_shift", 0.)),
                    act,
                    j.get("timestep_post_act", Act.IDENTITY, Act::of),
                    j.get("time_embedding_act_fn", Act.IDENTITY, Act::of),
                    j.get("time_cond_proj_dim", 0),
                    labels,
                    j.get("num_class_embeds", 0),
                    needsWidth ? j.requireInt("projection_class_embeddings_input_dim") : 0,
                    j.get("class_embeddings_concat", false),
                    sizes ? j.requireInt("addition_time_embed_dim") : 0);
        }

        /** Of what the blocks see. */
        int blockWidth() {
            return appended ? 2 * width : width;
        }
    }

    /** Attention to text, level by level from the top. */
    public record Text(
            List<Integer> widths,
            List<Integer> heads,
            List<List<Integer>> layers,
            List<List<Integer>> risingLayers,
            List<Boolean> only,
            boolean linear,
            boolean gated,
            int projectedFrom) {
        static Text of(Json j, List<Integer> resnets) {
            int levels = resnets.size();
            List<List<Integer>> layers = PerLevel.layers(j, "transformer_layers_per_block", resnets);
            return new Text(
                    PerLevel.ints(j, "cross_attention_dim", 1280, levels),
                    PerLevel.ints(j, "attention_head_dim", 8, levels),
                    layers,
                    rising(j, layers, resnets),
                    PerLevel.flags(j, "only_cross_attention", false, levels),
                    j.get("use_linear_projection", false),
                    switch (j.get("attention_type", "default")) {
                        case "default" -> false;
                        case "gated" -> true;
                        default -> throw j.unsupported("attention_type", "default, gated");
                    },
                    projectedFrom(j));
        }

        /** On the way up a level has one residual block more, whose transformer is as long as the others'. */
        private static List<List<Integer>> rising(Json j, List<List<Integer>> layers, List<Integer> resnets) {
            List<Integer> more = reversed(resnets).stream().map(n -> n + 1).toList();
            if (j.has("reverse_transformer_layers_per_block")) {
                return PerLevel.layers(j, "reverse_transformer_layers_per_block", more);
            }
            List<List<Integer>> r = new ArrayList<>();
            for (List<Integer> level : reversed(layers)) {
                if (level.stream().distinct().count() > 1) {
                    throw j.unsupported(
                            "transformer_layers_per_block",
                            "lists for each level only beside reverse_transformer_layers_per_block");
                }
                r.add(Collections.nCopies(more.get(r.size()), level.get(0)));
            }
            return r;
        }

        private static int projectedFrom(Json j) {
            if (j.has("encoder_hid_dim_type")) {
                j.expect("encoder_hid_dim_type", "text_proj");
                return j.requireInt("encoder_hid_dim");
            }
            return j.get("encoder_hid_dim", 0);
        }
    }

    /**
     * @param height of the latents trained on; 0 where the configuration does not say
     * @param centred whether samples come in 0..1
     * @param middle what is at the bottom: attention to text, residual blocks alone, or nothing
     * @param scaledStyle of blocks that resample by residual blocks
     * @param kernelIn side of the first convolution
     */
    public record Config(
            int height,
            int width,
            int inChannels,
            int outChannels,
            boolean centred,
            Time time,
            Text text,
            List<String> down,
            String middle,
            List<String> up,
            List<Integer> channels,
            List<Integer> layers,
            double midScale,
            int padding,
            ResnetBlock.Style style,
            ResnetBlock.Style scaledStyle,
            int kernelIn,
            int kernelOut) {
        public Config {
            Check.equal(down.size(), up.size(), "length of down_block_types", "of up_block_types");
            Check.equal(channels.size(), down.size(), "length of block_out_channels", "of down_block_types");
            Check.positive(inChannels, "in_channels");
            Check.positive(outChannels, "out_channels");
        }

        public static Config of(Json j) {
            j.expect("dual_cross_attention", false);
            for (String none : List.of("num_attention_heads", "cross_attention_norm")) {
                if (j.has(none)) {
                    throw j.unsupported(none, "null");
                }
            }
            List<String> down = j.get(
                    "down_block_types",
                    List.of("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"));
            List<Integer> channels = PerLevel.list(j, "block_out_channels", 320, 640, 1280, 1280);
            List<Integer> layers = PerLevel.ints(j, "layers_per_block", 2, down.size());
            Act act = j.get("act_fn", Act.SILU, Act::of);
            Time time = Time.of(j, channels.get(0), act);
            int groups = j.get("norm_num_groups", 32);
            int[] size = j.pair("sample_size", 0);
            ResnetBlock.Style style = new ResnetBlock.Style(
                    time.blockWidth(),
                    groups,
                    groups,
                    j.get("norm_eps", 1e-5),
                    act,
                    PixelUnet.Config.scaleShift(j),
                    false,
                    1,
                    j.get("dropout", 0.));
            return new Config(
                    size[0],
                    size[1],
                    j.get("in_channels", 4),
                    j.get("out_channels", 4),
                    j.get("center_input_sample", false),
                    time,
                    Text.of(j, layers),
                    down,
                    middle(j),
                    j.get(
                            "up_block_types",
                            List.of("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")),
                    channels,
                    layers,
                    j.get("mid_block_scale_factor", 1.),
                    j.get("downsample_padding", 1),
                    style,
                    new ResnetBlock.Style(
                            style.time(),
                            groups,
                            groups,
                            style.eps(),
                            act,
                            style.scaleShift(),
                            j.get("resnet_skip_time_act", false),
                            j.get("resnet_out_scale_factor", 1.),
                            style.dropout()),
                    j.get("conv_in_kernel", 3),
                    j.get("conv_out_kernel", 3));
        }

        /** That of Stable Diffusion 1.x, 860 million parameters. */
        public static Config sd1() {
            return of(Json.parse(
                    "Stable Diffusion 1.x",
                    "{\"sample_size\": 64, \"cross_attention_dim\": 768, \"attention_head_dim\": 8}"));
        }

        private static String middle(Json j) {
            if (j.keys().contains("mid_block_type") && !j.has("mid_block_type")) {
                return "";
            }
            String r = j.get("mid_block_type", "UNetMidBlock2DCrossAttn");
            if (!List.of("UNetMidBlock2DCrossAttn", "UNetMidBlock2D").contains(r)) {
                throw j.unsupported("mid_block_type", "null, UNetMidBlock2DCrossAttn, UNetMidBlock2D");
            }
            return r;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv2d convIn;
    private final Module timeFeatures;
    private final TimeEmbedding timeEmbedding;
    private final @Nullable Linear guidance;
    private final @Nullable Module labels;
    private final @Nullable TimeEmbedding sizes;
    private final @Nullable Linear textProjection;
    private final List<Level> down = new ArrayList<>();
    private final @Nullable Level middle;
    private final List<Level> up = new ArrayList<>();
    private final GroupNorm convNormOut;
    private final Conv2d convOut;
    private final @Nullable BoxProjection boxes;

    /** How a level comes by its weights. */
    @FunctionalInterface
    private interface Holder {
        Level hold(String path, Function<Weights, Level> build);
    }

    public ConditionalUnet(Config c, Weights w) {
        this(c, w, (path, build) -> build.apply(w.at(path)));
    }

    private ConditionalUnet(Config c, Weights w, Holder levelsBy) {
        weights = w;
        config = c;
        Time t = c.time;
        int first = c.channels.get(0);
        convIn = new Conv2d(w.at("conv_in"), c.inChannels, first, c.kernelIn, 1, (c.kernelIn - 1) / 2);
        timeFeatures = timeFeatures(t, w.at("time_proj"));
        int features = t.fourier ? t.width : first;
        timeEmbedding = new TimeEmbedding(w.at("time_embedding"), features, t.width, t.act);
        guidance = t.guidanceWidth == 0
                ? null
                : new Linear(w.at("time_embedding.cond_proj"), t.guidanceWidth, features, false);
        textProjection = c.text.projectedFrom == 0
                ? null
                : new Linear(w.at("encoder_hid_proj"), c.text.projectedFrom, c.text.widths.get(0));
        labels = labels(t, features, w.at("class_embedding"));
        sizes = t.sizeWidth == 0 ? null : new TimeEmbedding(w.at("add_embedding"), t.labelWidth, t.width, Act.SILU);
        int levels = c.channels.size();
        for (int i = 0; i < levels; i++) {
            int in = c.channels.get(Math.max(i - 1, 0));
            Level.Plan plan = plan(c, c.down.get(i), in, 0, c.layers.get(i), i, i + 1 < levels, c.text.layers.get(i));
            down.add(levelsBy.hold("down_blocks." + i, at -> Level.down(plan, at)));
        }
        middle = c.middle.isEmpty() ? null : levelsBy.hold("mid_block", at -> middle(c, at));
        for (int i = 0; i < levels; i++) {
            int level = levels - 1 - i;
            int in = c.channels.get(Math.min(level + 1, levels - 1));
            int skip = c.channels.get(Math.max(level - 1, 0));
            Level.Plan plan = plan(
                    c, c.up.get(i), in, skip, c.layers.get(level) + 1, level, level > 0, c.text.risingLayers.get(i));
            up.add(levelsBy.hold("up_blocks." + i, at -> Level.up(plan, at)));
        }
        convNormOut = new GroupNorm(w.at("conv_norm_out"), c.style.groups(), first, c.style.eps());
        convOut = new Conv2d(w.at("conv_out"), first, c.outChannels, c.kernelOut, 1, (c.kernelOut - 1) / 2);
        int phrase = c.text.widths.get(0);
        boxes = c.text.gated ? new BoxProjection(w.at("position_net"), phrase, phrase) : null;
    }

    /** The folder of a network, such as {@code unet} of a pipeline. */
    public static ConditionalUnet load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new ConditionalUnet(Config.of(json), w));
    }

    /**
     * The same, with the weights of one level at a time in memory: each step reads them from the file, which the system
     * keeps in its cache as long as there is room.
     *
     * @param check is shown all weights once, level by level
     */
    public static ConditionalUnet stream(Path folder, Consumer<Weights> check) {
        return Pretrained.load(
                folder,
                (json, w) -> new ConditionalUnet(Config.of(json), w, (path, build) -> {
                    try (Weights once = w.at(path)) { // what is missing or damaged is said now
                        Level unused = build.apply(once);
                        check.accept(once);
                    }
                    return pass -> {
                        try (Checkpoint file = Checkpoint.open(folder);
                                Weights again = Weights.load(file)) {
                            build.apply(again.at(path)).run(pass);
                        }
                    };
                }));
    }

    private static Level.Plan plan(
            Config c, String type, int in, int skip, int layers, int level, boolean resampled, List<Integer> blocks) {
        int out = c.channels.get(level);
        return new Level.Plan(
                type,
                in,
                out,
                skip,
                layers,
                resampled,
                c.style,
                c.scaledStyle,
                c.text.heads.get(level),
                c.padding,
                "conv",
                transformer(c, level, blocks));
    }

    private static SpatialTransformer.Config transformer(Config c, int level, List<Integer> blocks) {
        return new SpatialTransformer.Config(
                c.text.heads.get(level), // which configurations call attention_head_dim, by a mistake of long ago
                blocks,
                c.text.widths.get(level),
                c.style.groups(),
                c.text.linear,
                c.text.only.get(level),
                c.text.gated);
    }

    private static Level middle(Config c, Weights w) {
        int last = c.channels.size() - 1;
        int width = c.channels.get(last);
        ResnetBlock.Style style = c.style.withScale(c.midScale);
        if (c.middle.equals("UNetMidBlock2D")) {
            return Level.middle(style, width, List.of(), w);
        }
        List<Integer> blocks = c.text.layers.get(last);
        SpatialTransformer.Config text = transformer(c, last, List.of(blocks.get(0)));
        SpatialTransformer.Config both = new SpatialTransformer.Config(
                text.heads(), text.layers(), text.contextWidth(), text.groups(), text.linear(), false, text.gated());
        return Level.middle(style, width, List.of(new SpatialTransformer(both, width, 0, w.at("attentions.0"))), w);
    }

    private static Module timeFeatures(Time t, Weights w) {
        if (!t.fourier) {
            return t.waves;
        }
        Tensor frequencies = w.buffer("weight", Init.normal(1), t.width / 2);
        return x -> {
            Tensor angles = x.to(DType.FLOAT32)
                    .unsqueeze(1)
                    .mul(frequencies.unsqueeze(0))
                    .mul(2 * Math.PI);
            return t.waves.cosinesFirst()
                    ? Tensor.cat(-1, angles.cos(), angles.sin())
                    : Tensor.cat(-1, angles.sin(), angles.cos());
        };
    }

    private @Nullable Module labels(Time t, int features, Weights w) {
        return switch (t.labels) {
            case NONE -> null;
            case CLASS -> new Embedding(w, t.classes, t.width);
            case TIMESTEP -> {
                TimeEmbedding layers = new TimeEmbedding(w, features, t.width, t.act);
                yield x -> layers.forward(timeFeatures.forward(x));
            }
            case IDENTITY -> x -> x;
            case PROJECTION -> new TimeEmbedding(w, t.labelWidth, t.width, Act.SILU);
            case SIMPLE_PROJECTION -> new Linear(w, t.labelWidth, t.width);
        };
    }

    private static <T> List<T> reversed(List<T> list) {
        List<T> r = new ArrayList<>(list);
        Collections.reverse(r);
        return r;
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * @param sample noisy latents, with whatever the network takes beside them appended, {@code [B, C, H, W]}; H and W
     *     need not be multiples of anything
     * @param timesteps {@code [B]}
     * @return what the scheduler's prediction type says, {@code [B, out channels, H, W]}
     */
    public Tensor forward(Tensor sample, Tensor timesteps, Condition condition) {
        return forward(sample, timesteps, condition, (name, t) -> {});
    }

    /** As the other; {@code watch} is handed what named parts make, as long as it lives. */
    public Tensor forward(Tensor sample, Tensor timesteps, Condition condition, BiConsumer<String, Tensor> watch) {
        return forward(sample, timesteps, condition, watch, null);
    }

    /** As the first; in steps that are not full, levels below the top one answer what they did before. */
    public Tensor forward(Tensor sample, Tensor timesteps, Condition condition, DeepCache cache) {
        return forward(sample, timesteps, condition, (name, t) -> {}, up.size() > 1 ? cache : null);
    }

    private Tensor forward(
            Tensor sample,
            Tensor timesteps,
            Condition condition,
            BiConsumer<String, Tensor> watch,
            @Nullable DeepCache cache) {
        Check.shape(sample.shape(), "sample", -1, config.inChannels, -1, -1);
        try (Scope s = Scope.open()) {
            Tensor time = time(timesteps, condition.guidance());
            watch.accept("time_embedding", time);
            Pass pass = new Pass(
                    config.centred ? sample.mul(2.0).sub(1.0) : sample,
                    new Pass.Steering(
                            steered(time, condition), text(condition), mask(condition), condition.objects(), watch));
            pass.step(convIn::forward);
            pass.watched("conv_in");
            pass.remember();
            int last = up.size() - 1;
            if (cache == null || cache.isFull()) {
                down.forEach(level -> level.run(pass));
                if (middle != null) {
                    middle.run(pass);
                }
                up.subList(0, last).forEach(level -> level.run(pass));
                if (cache != null) {
                    cache.keep(pass.x());
                }
            } else {
                down.get(0).run(pass);
                pass.resume(cache.take());
            }
            up.get(last).run(pass);
            return s.keep(Steps.run(pass.x(), convNormOut, config.style.act()::of, convOut));
        }
    }

    /**
     * What boxes with phrases say, for {@link Condition#withObjects}.
     *
     * @param edges left, top, right, bottom in 0..1, {@code [B, n, 4]}
     * @param used which of the n slots hold a box, {@code [B, n]}, 1 or 0
     * @param phrases what each box shows, {@code [B, n, F]}
     */
    public Tensor objects(Tensor edges, Tensor used, Tensor phrases) {
        if (boxes == null) {
            throw new UserError("the network takes no boxes: its attention_type is not gated");
        }
        return boxes.forward(edges, used, phrases);
    }

    private Tensor time(Tensor timesteps, @Nullable Tensor strength) {
        Tensor features = timeFeatures.forward(timesteps);
        if (guidance != null && strength != null) {
            features = features.add(guidance.forward(strength));
        }
        return config.time.postAct.of(timeEmbedding.forward(features)); // [B, E]
    }

    private Tensor steered(Tensor time, Condition c) {
        Tensor r = time;
        if (labels != null) {
            if (c.labels() == null) {
                throw new UserError("the network needs labels: class numbers, a noise level or features");
            }
            Tensor label = labels.forward(c.labels());
            r = config.time.appended ? Tensor.cat(-1, r, label) : r.add(label);
        }
        if (sizes != null) {
            if (c.pooledText() == null || c.sizes() == null) {
                throw new UserError("the network needs the pooled text and the sizes and crop of the picture");
            }
            Timesteps waves =
                    new Timesteps(config.time.sizeWidth, config.time.waves.cosinesFirst(), config.time.waves.shift());
            Tensor numbers =
                    waves.forward(c.sizes().flatten(0)).reshape(c.sizes().size(0), -1); // [B, 6 S]
            r = r.add(sizes.forward(
                    Tensor.cat(-1, c.pooledText(), numbers.to(c.pooledText().dtype()))));
        }
        return config.time.lastAct.of(r);
    }

    private @Nullable Tensor text(Condition c) {
        return textProjection == null || c.text() == null ? c.text() : textProjection.forward(c.text());
    }

    private static @Nullable Tensor mask(Condition c) {
        return c.textMask() == null || c.text() == null
                ? null
                : c.textMask()
                        .to(c.text().dtype())
                        .rsub(1)
                        .mul(-10000.0)
                        .unsqueeze(1)
                        .unsqueeze(1); // [B, 1, 1, T]
    }

    @Override
    public void close() {
        weights.close();
    }
}
