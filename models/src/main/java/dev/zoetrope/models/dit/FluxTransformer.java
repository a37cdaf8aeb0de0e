package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.dit.JointAttention.Tokens;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The transformer of Flux.1, black-forest-labs/FLUX.1-dev and -schnell: blocks in which text and picture have weights of
 * their own, then blocks in which they share all and attention runs beside the feed-forward layer.
 *
 * <p>Axes: B pictures, N picture tokens, L text tokens, D hidden size.
 */
public final class FluxTransformer implements AutoCloseable {
    private static final double ROTARY_BASE = 10000;

    /** Times and scales come as shares of one and are read as thousandths. */
    private static final double TIMESTEPS = 1000;

    /**
     * @param inChannels width of a picture token, 4 times the latent channels
     * @param layers blocks with weights apart
     * @param singleLayers blocks with shared weights
     * @param textChannels width of a text token, {@code joint_attention_dim}
     * @param guidance whether the model is distilled from guidance and reads its scale
     * @param axes features of a head that turn with the time, row and column of a token
     */
    public record Config(
            int patch,
            int inChannels,
            int outChannels,
            int layers,
            int singleLayers,
            int heads,
            int headSize,
            int textChannels,
            int pooledChannels,
            boolean guidance,
            List<Integer> axes) {
        public Config {
            Check.positive(heads, "num_attention_heads");
            Check.positive(inChannels, "in_channels");
            axes = List.copyOf(axes);
            axes.forEach(a -> Check.divides(2, a, "2", "axes_dims_rope"));
            Check.equal(
                    headSize,
                    axes.stream().mapToInt(Integer::intValue).sum(),
                    "attention_head_dim",
                    "the sum of axes_dims_rope");
        }

        public static Config of(Json j) {
            int channels = j.get("in_channels", 64);
            return new Config(
                    j.get("patch_size", 1),
                    channels,
                    j.get("out_channels", channels),
                    j.get("num_layers", 19),
                    j.get("num_single_layers", 38),
                    j.get("num_attention_heads", 24),
                    j.get("attention_head_dim", 128),
                    j.get("joint_attention_dim", 4096),
                    j.get("pooled_projection_dim", 768),
                    j.get("guidance_embeds", false),
                    Arrays.stream(j.get("axes_dims_rope", new int[] {16, 56, 56}))
                            .boxed()
                            .toList());
        }

        public int hidden() {
            return heads * headSize;
        }
    }

    private final Weights weights;
    private final Config config;
    private final TimeAndText timeAndText;
    private final Linear context;
    private final Linear pictureIn;
    private final List<Block> blocks;
    private final List<SingleBlock> singleBlocks;
    private final Modulation finalModulation;
    private final LayerNorm norm;
    private final Linear output;

    public FluxTransformer(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden();
        timeAndText = new TimeAndText(w.at("time_text_embed"), d, c.pooledChannels, c.guidance);
        context = new Linear(w.at("context_embedder"), c.textChannels, d);
        pictureIn = new Linear(w.at("x_embedder"), c.inChannels, d);
        blocks = w.at("transformer_blocks").stack(c.layers, at -> new Block(c, at));
        singleBlocks = w.at("single_transformer_blocks").stack(c.singleLayers, at -> new SingleBlock(c, at));
        finalModulation = new Modulation(w.at("norm_out.linear"), d, 2);
        norm = Modulation.norm(d);
        output = new Linear(w.at("proj_out"), d, (long) c.patch * c.patch * c.outChannels);
    }

    public static FluxTransformer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new FluxTransformer(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * What the network is asked.
     *
     * @param latents noisy picture tokens, {@code [B, N, inChannels]}
     * @param timesteps {@code [B]}, 1 for noise to 0 for a picture
     * @param text {@code [B, L, textChannels]}
     * @param pooled {@code [B, pooledChannels]}
     * @param pictureIds time, row and column of each picture token, {@code [N, 3]}
     * @param textIds the same of each text token, {@code [L, 3]}: zeros
     * @param guidance scale {@code [B]} where the model reads one, else null
     */
    public record Input(
            Tensor latents,
            Tensor timesteps,
            Tensor text,
            Tensor pooled,
            Tensor pictureIds,
            Tensor textIds,
            @Nullable Tensor guidance) {}

    /** Noise - picture as predicted, {@code [B, N, O]}. */
    public Tensor forward(Input in) {
        try (Scope s = Scope.open()) {
            Tensor condition = condition(in);
            Rotary rotary = rotary(in);
            Tokens x = new Tokens(picture(in), context(in));
            for (Block block : blocks) {
                x = x.replacedBy(s, block.forward(x, condition, rotary));
            }
            Tensor all = Tensor.cat(1, x.text(), x.picture()); // [B, L + N, D]
            for (SingleBlock block : singleBlocks) {
                all = s.replace(all, block.forward(all, condition, rotary));
            }
            Tensor y = all.narrow(1, x.text().size(1), x.picture().size(1));
            List<Tensor> m = finalModulation.forward(condition); // scale, shift
            return s.keep(output.forward(Modulation.apply(norm.forward(y), m.get(1), m.get(0))));
        }
    }

    /** Picture tokens in the hidden size, {@code [B, N, D]}. */
    public Tensor picture(Input in) {
        return pictureIn.forward(in.latents);
    }

    /** Text tokens in the hidden size, {@code [B, L, D]}. */
    public Tensor context(Input in) {
        return context.forward(in.text);
    }

    /** Time, pooled text and guidance, {@code [B, D]}. */
    public Tensor condition(Input in) {
        Tensor scale = in.guidance == null ? null : in.guidance.mul(TIMESTEPS);
        return timeAndText.forward(in.timesteps.mul(TIMESTEPS), in.pooled, scale);
    }

    /** Turns of text tokens, then picture tokens, {@code [L + N, D / heads / 2]}. */
    public Rotary rotary(Input in) {
        int n = config.axes.size();
        Check.shape(in.pictureIds.shape(), "picture ids", -1, n);
        Check.shape(in.textIds.shape(), "text ids", -1, n);
        try (Scope s = Scope.open()) {
            Tensor ids = Tensor.cat(0, in.textIds, in.pictureIds);
            double[] places = ids.toDoubles();
            int tokens = (int) ids.size(0);
            int pairs = config.headSize / 2;
            double[] angles = new double[tokens * pairs];
            for (int token = 0; token < tokens; token++) {
                int at = token * pairs;
                for (int axis = 0; axis < n; axis++) {
                    int features = config.axes.get(axis);
                    for (int i = 0; i < features; i += 2) {
                        angles[at++] = places[token * n + axis] / Math.pow(ROTARY_BASE, (double) i / features);
                    }
                }
            }
            Rotary r = Rotary.of(Tensor.of(angles, tokens, pairs));
            return new Rotary(like(r.cos(), in, s), like(r.sin(), in, s));
        }
    }

    private static Tensor like(Tensor t, Input in, Scope s) {
        return s.keep(t.to(in.latents.dtype()).to(in.latents.device()));
    }

    /** Picture and text after each block, of both kinds. */
    public List<List<Tensor>> hiddenStates(Input in) {
        List<List<Tensor>> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor condition = condition(in);
            Rotary rotary = rotary(in);
            Tokens x = new Tokens(picture(in), context(in));
            for (Block block : blocks) {
                x = block.forward(x, condition, rotary);
                r.add(List.of(s.keep(x.picture()), s.keep(x.text())));
            }
            long words = x.text().size(1);
            Tensor all = Tensor.cat(1, x.text(), x.picture());
            for (SingleBlock block : singleBlocks) {
                all = block.forward(all, condition, rotary);
                r.add(List.of(s.keep(all.narrow(1, words, all.size(1) - words)), s.keep(all.narrow(1, 0, words))));
            }
        }
        return r;
    }

    /** Attention of both, then a feed-forward layer for each. */
    private static final class Block {
        private final Modulation modulation;
        private final Modulation textModulation;
        private final LayerNorm norm;
        private final JointAttention attention;
        private final Mlp feed;
        private final Mlp textFeed;

        Block(Config c, Weights w) {
            int d = c.hidden();
            modulation = new Modulation(w.at("norm1.linear"), d, 6);
            textModulation = new Modulation(w.at("norm1_context.linear"), d, 6);
            norm = Modulation.norm(d);
            attention = new JointAttention(w.at("attn"), d, c.heads, true, true);
            feed = Mlp.feedForward(w.at("ff"), d, 4L * d, Act.GELU_TANH);
            textFeed = Mlp.feedForward(w.at("ff_context"), d, 4L * d, Act.GELU_TANH);
        }

        Tokens forward(Tokens x, Tensor condition, Rotary rotary) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = modulation.forward(condition);
                List<Tensor> t = textModulation.forward(condition);
                Tokens a = attention.forward(
                        new Tokens(
                                Modulation.apply(norm.forward(x.picture()), m.get(0), m.get(1)),
                                Modulation.apply(norm.forward(x.text()), t.get(0), t.get(1))),
                        rotary);
                return new Tokens(
                                fed(x.picture().add(a.picture().mul(m.get(2))), feed, m),
                                fed(x.text().add(a.text().mul(t.get(2))), textFeed, t))
                        .keptIn(s);
            }
        }

        private Tensor fed(Tensor x, Mlp feed, List<Tensor> m) {
            Tensor h = Modulation.apply(norm.forward(x), m.get(3), m.get(4));
            return x.add(feed.forward(h).mul(m.get(5)));
        }
    }

    /** Attention and feed-forward layer side by side over all tokens, {@code [B, L + N, D]}. */
    private static final class SingleBlock {
        private final Modulation modulation;
        private final LayerNorm norm;
        private final Linear up;
        private final Linear down;
        private final JointAttention.Stream attention;

        SingleBlock(Config c, Weights w) {
            int d = c.hidden();
            modulation = new Modulation(w.at("norm.linear"), d, 3);
            norm = Modulation.norm(d);
            up = new Linear(w.at("proj_mlp"), d, 4L * d);
            down = new Linear(w.at("proj_out"), 5L * d, d);
            attention = JointAttention.Stream.picture(w.at("attn"), d, c.heads, true);
        }

        Tensor forward(Tensor x, Tensor condition, Rotary rotary) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = modulation.forward(condition); // shift, scale, gate
                Tensor normed = Modulation.apply(norm.forward(x), m.get(0), m.get(1));
                Tensor h = up.forward(normed).geluTanh(); // [B, L + N, 4 D]
                Tensor both = Tensor.cat(2, attention.attend(normed, rotary), h); // [B, L + N, 5 D]
                return s.keep(x.add(down.forward(both).mul(m.get(2))));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
