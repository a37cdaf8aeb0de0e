package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Resample2d;
import dev.zoetrope.nn.ResnetBlock;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The U-Net of ModelScope's text to video, arXiv:2308.06571: that of Stable Diffusion with convolutions and attention
 * along time. Names as in cerspense/zeroscope_v2_576w.
 *
 * <p>Axes: B videos, C channels, F frames, H x W rows and columns, T tokens of text.
 */
public final class VideoUnet implements AutoCloseable {
    private static final int FIRST_HEADS = 8; // of the transformer in front, whatever the configuration says

    /**
     * @param headSize width of a head of attention
     * @param contextWidth width of a token of text
     */
    public record Config(
            int inChannels,
            int outChannels,
            List<String> down,
            List<String> up,
            List<Integer> channels,
            int layers,
            int padding,
            double midScale,
            Act act,
            int groups,
            double eps,
            int contextWidth,
            int headSize) {
        public Config {
            down = List.copyOf(down);
            up = List.copyOf(up);
            channels = List.copyOf(channels);
            Check.equal(down.size(), up.size(), "length of down_block_types", "of up_block_types");
            Check.equal(channels.size(), down.size(), "length of block_out_channels", "of down_block_types");
            channels.forEach(c -> Check.divides(headSize, c, "attention_head_dim", "block_out_channels"));
            Check.positive(layers, "layers_per_block");
        }

        public static Config of(Json j) {
            for (String none : List.of("num_attention_heads", "time_cond_proj_dim")) {
                if (j.has(none)) {
                    throw j.unsupported(none, "null");
                }
            }
            return new Config(
                    j.get("in_channels", 4),
                    j.get("out_channels", 4),
                    j.get(
                            "down_block_types",
                            List.of(
                                    "CrossAttnDownBlock3D",
                                    "CrossAttnDownBlock3D",
                                    "CrossAttnDownBlock3D",
                                    "DownBlock3D")),
                    j.get(
                            "up_block_types",
                            List.of("UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D")),
                    PerLevel.list(j, "block_out_channels", 320, 640, 1280, 1280),
                    j.get("layers_per_block", 2),
                    j.get("downsample_padding", 1),
                    j.get("mid_block_scale_factor", 1.),
                    j.get("act_fn", Act.SILU, Act::of),
                    j.get("norm_num_groups", 32),
                    j.get("norm_eps", 1e-5),
                    j.get("cross_attention_dim", 1024),
                    j.get("attention_head_dim", 64));
        }

        ResnetBlock.Style style() {
            return ResnetBlock.Style.of(4 * channels.get(0), groups, eps, act);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv2d convIn;
    private final Timesteps waves;
    private final TimeEmbedding time;
    private final TemporalLayers.Transformer transformerIn;
    private final List<Stage> down = new ArrayList<>();
    private final Stage middle;
    private final List<Stage> up = new ArrayList<>();
    private final GroupNorm convNormOut;
    private final Conv2d convOut;

    public VideoUnet(Config c, Weights w) {
        weights = w;
        config = c;
        int first = c.channels.get(0);
        int levels = c.channels.size();
        ResnetBlock.Style style = c.style();
        convIn = new Conv2d(w.at("conv_in"), c.inChannels, first, 3, 1, 1);
        waves = new Timesteps(first, true, 0);
        time = new TimeEmbedding(w.at("time_embedding"), first, 4L * first, c.act);
        transformerIn =
                new TemporalLayers.Transformer(w.at("transformer_in"), first, FIRST_HEADS, c.headSize, c.groups);
        for (int i = 0; i < levels; i++) {
            int out = c.channels.get(i);
            Weights at = w.at("down_blocks").at(i);
            List<Integer> ins = new ArrayList<>();
            for (int k = 0; k < c.layers; k++) {
                ins.add(k == 0 ? c.channels.get(Math.max(i - 1, 0)) : out);
            }
            Stage stage = new Stage(c, style, at, ins, out, texts(c.down.get(i), "Down"));
            if (i + 1 < levels) {
                stage.shrink = Resample2d.down(at.at("downsamplers.0"), out, c.padding);
            }
            down.add(stage);
        }
        int last = c.channels.get(levels - 1);
        middle = new Stage(c, style.withScale(c.midScale), w.at("mid_block"), List.of(last, last), last, true);
        for (int i = 0; i < levels; i++) {
            int level = levels - 1 - i;
            int out = c.channels.get(level);
            Weights at = w.at("up_blocks").at(i);
            List<Integer> ins = new ArrayList<>();
            for (int k = 0; k <= c.layers; k++) {
                int below = k == 0 ? c.channels.get(Math.min(level + 1, levels - 1)) : out;
                int left = k == c.layers ? c.channels.get(Math.max(level - 1, 0)) : out;
                ins.add(below + left);
            }
            Stage stage = new Stage(c, style, at, ins, out, texts(c.up.get(i), "Up"));
            if (level > 0) {
                stage.grow = new Resample2d.Up(at.at("upsamplers.0"), out);
            }
            up.add(stage);
        }
        convNormOut = new GroupNorm(w.at("conv_norm_out"), c.groups, first, c.eps);
        convOut = new Conv2d(w.at("conv_out"), first, c.outChannels, 3, 1, 1);
    }

    /** Whether a kind of level looks at the text. */
    private static boolean texts(String type, String way) {
        if (type.equals("CrossAttn" + way + "Block3D")) {
            return true;
        }
        if (!type.equals(way + "Block3D")) {
            throw new UserError(way.toLowerCase(java.util.Locale.ROOT) + "_block_types " + type
                    + " is not supported; supported: " + way + "Block3D, CrossAttn" + way + "Block3D");
        }
        return false;
    }

    public static VideoUnet load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new VideoUnet(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * @param sample noisy latents, {@code [B, C, F, H, W]}
     * @param timesteps {@code [B]}
     * @param text {@code [B, T, contextWidth]}
     * @return like the sample
     */
    public Tensor forward(Tensor sample, Tensor timesteps, Tensor text) {
        return forward(sample, timesteps, text, (name, t) -> {});
    }

    /** As the other; {@code watch} is handed what named parts make, as long as it lives. */
    public Tensor forward(Tensor sample, Tensor timesteps, Tensor text, BiConsumer<String, Tensor> watch) {
        Check.shape(sample.shape(), "sample", -1, config.inChannels, -1, -1, -1);
        int frames = (int) sample.size(2);
        try (Scope s = Scope.open()) {
            Tensor steps = time.forward(waves.forward(timesteps)).repeatInterleave(frames, 0); // [B F, E]
            Tensor words = text.repeatInterleave(frames, 0);
            Pass pass =
                    new Pass(sample.transpose(1, 2).flatten(0, 1), new Pass.Steering(steps, words, null, null, watch));
            pass.step(convIn::forward);
            pass.watched("conv_in");
            pass.step(x -> transformerIn.forward(x, frames, pass.steering()));
            pass.watched("transformer_in");
            pass.remember();
            down.forEach(stage -> stage.down(pass, frames));
            middle.through(pass, frames);
            up.forEach(stage -> stage.up(pass, frames));
            Tensor y = convOut.forward(config.act.of(convNormOut.forward(pass.x())));
            return s.keep(y.unflatten(0, -1, frames).transpose(1, 2).contiguous());
        }
    }

    /** One resolution: residual blocks, each followed by convolutions in time and, with text, two transformers. */
    private static final class Stage {
        private final String path;
        private final List<ResnetBlock> resnets = new ArrayList<>();
        private final List<TemporalLayers.Convs> convs = new ArrayList<>();
        private final List<SpatialTransformer> attentions = new ArrayList<>();
        private final List<TemporalLayers.Transformer> temporal = new ArrayList<>();
        private @Nullable Module shrink;
        private Resample2d.@Nullable Up grow;

        Stage(Config c, ResnetBlock.Style style, Weights w, List<Integer> ins, int out, boolean text) {
            path = w.path();
            int heads = out / c.headSize;
            boolean bottom = path.endsWith("mid_block");
            for (int i = 0; i < ins.size(); i++) {
                resnets.add(new ResnetBlock(w.at("resnets").at(i), style, ins.get(i), out));
                convs.add(new TemporalLayers.Convs(w.at("temp_convs").at(i), out, c.groups));
            }
            int mixed = text ? ins.size() - (bottom ? 1 : 0) : 0; // at the bottom they stand between the blocks
            for (int i = 0; i < mixed; i++) {
                SpatialTransformer.Config t =
                        new SpatialTransformer.Config(heads, List.of(1), c.contextWidth, c.groups, true, false, false);
                attentions.add(
                        new SpatialTransformer(t, out, 0, w.at("attentions").at(i)));
                temporal.add(new TemporalLayers.Transformer(
                        w.at("temp_attentions").at(i), out, heads, c.headSize, c.groups));
            }
        }

        private void block(Pass pass, int i, int frames) {
            pass.step(x -> resnets.get(i).forward(x, pass.steering().time()));
            pass.step(x -> convs.get(i).forward(x, frames));
        }

        private void mix(Pass pass, int i, int frames) {
            if (i < attentions.size()) {
                pass.step(x -> attentions.get(i).forward(x, pass.steering()));
                pass.step(x -> temporal.get(i).forward(x, frames, pass.steering()));
            }
        }

        void down(Pass pass, int frames) {
            for (int i = 0; i < resnets.size(); i++) {
                block(pass, i, frames);
                mix(pass, i, frames);
                pass.remember();
            }
            Module smaller = shrink;
            if (smaller != null) {
                pass.step(smaller::forward);
                pass.remember();
            }
            pass.watched(path);
        }

        void through(Pass pass, int frames) {
            for (int i = 0; i < resnets.size(); i++) {
                block(pass, i, frames);
                mix(pass, i, frames);
            }
            pass.watched(path);
        }

        void up(Pass pass, int frames) {
            for (int i = 0; i < resnets.size(); i++) {
                pass.join();
                block(pass, i, frames);
                mix(pass, i, frames);
            }
            Resample2d.Up larger = grow;
            if (larger != null) {
                long height = pass.next().size(2);
                long width = pass.next().size(3);
                pass.step(x -> larger.forward(x, height, width));
            }
            pass.watched(path);
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
