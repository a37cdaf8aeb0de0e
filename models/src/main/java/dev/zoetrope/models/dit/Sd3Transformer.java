package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.dit.JointAttention.Tokens;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The transformer of Stable Diffusion 3 and 3.5, arXiv:2403.03206: tokens of text and picture, each with weights of its
 * own, attend to each other (in-context conditioning). Names as in stabilityai/stable-diffusion-3-medium-diffusers.
 *
 * <p>Axes: B pictures, C latent channels, H x W rows and columns, N = (H / p) (W / p) patches, L text tokens, D hidden.
 */
public final class Sd3Transformer implements AutoCloseable {
    /**
     * @param side rows and columns of the latents trained on
     * @param placesSide rows and columns of the table of places, of which the middle is used
     * @param textChannels width of a text token, {@code joint_attention_dim}
     * @param dualAttention blocks in which the picture attends to itself once more (3.5 medium)
     * @param normed whether queries and keys are normalised (3.5)
     */
    public record Config(
            int side,
            int patch,
            int inChannels,
            int outChannels,
            int layers,
            int heads,
            int headSize,
            int textChannels,
            int pooledChannels,
            int placesSide,
            List<Integer> dualAttention,
            boolean normed) {
        public Config {
            Check.divides(patch, side, "patch_size", "sample_size");
            Check.positive(layers, "num_layers");
            Check.divides(4, (long) heads * headSize, "4", "num_attention_heads * attention_head_dim");
            Check.positive(placesSide, "pos_embed_max_size");
            dualAttention = List.copyOf(dualAttention);
            for (int layer : dualAttention) {
                Check.between(0, layers - 1, layer, "dual_attention_layers");
            }
        }

        public static Config of(Json j) {
            int channels = j.get("in_channels", 16);
            Config c = new Config(
                    j.get("sample_size", 128),
                    j.get("patch_size", 2),
                    channels,
                    j.get("out_channels", channels),
                    j.get("num_layers", 18),
                    j.get("num_attention_heads", 18),
                    j.get("attention_head_dim", 64),
                    j.get("joint_attention_dim", 4096),
                    j.get("pooled_projection_dim", 2048),
                    j.get("pos_embed_max_size", 96),
                    Arrays.stream(j.get("dual_attention_layers", new int[0]))
                            .boxed()
                            .toList(),
                    switch (j.get("qk_norm", "none")) {
                        case "none" -> false;
                        case "rms_norm" -> true;
                        default -> throw j.unsupported("qk_norm", "null, rms_norm");
                    });
            Check.equal(
                    c.hidden(),
                    j.get("caption_projection_dim", c.hidden()),
                    "num_attention_heads * attention_head_dim",
                    "caption_projection_dim");
            return c;
        }

        public int hidden() {
            return heads * headSize;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Patches patches;
    private final Tensor places;
    private final TimeAndText timeAndText;
    private final Linear context;
    private final List<Block> blocks;
    private final Modulation finalModulation;
    private final LayerNorm norm;
    private final Linear output;

    public Sd3Transformer(Config c, Weights w) {
        weights = w;
        config = c;
        int d = c.hidden();
        int n = c.placesSide;
        patches = new Patches(w.at("pos_embed"), c.inChannels, d, c.patch);
        Init table = (random, shape) ->
                Patches.places(n, n, d, (double) c.side / c.patch).reshape(shape);
        places = w.buffer("pos_embed.pos_embed", table, 1, (long) n * n, d);
        timeAndText = new TimeAndText(w.at("time_text_embed"), d, c.pooledChannels, false);
        context = new Linear(w.at("context_embedder"), c.textChannels, d);
        List<Block> all = new ArrayList<>();
        for (int i = 0; i < c.layers; i++) {
            all.add(new Block(c, w.at("transformer_blocks").at(i), i));
        }
        blocks = List.copyOf(all);
        finalModulation = new Modulation(w.at("norm_out.linear"), d, 2);
        norm = Modulation.norm(d);
        output = new Linear(w.at("proj_out"), d, (long) c.patch * c.patch * c.outChannels);
    }

    public static Sd3Transformer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Sd3Transformer(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /**
     * @param latents noisy, {@code [B, C, H, W]}; H and W multiples of p
     * @param timesteps {@code [B]}, 0 to 1000, whole or not
     * @param text {@code [B, L, textChannels]}
     * @param pooled {@code [B, pooledChannels]}
     * @return noise - picture as predicted, {@code [B, O, H, W]}
     */
    public Tensor forward(Tensor latents, Tensor timesteps, Tensor text, Tensor pooled) {
        try (Scope s = Scope.open()) {
            Tensor condition = condition(timesteps, pooled);
            Tokens x = new Tokens(patches(latents), context(text));
            for (Block block : blocks) {
                x = x.replacedBy(s, block.forward(x, condition));
            }
            List<Tensor> m = finalModulation.forward(condition); // scale, shift
            Tensor y = Modulation.apply(norm.forward(x.picture()), m.get(1), m.get(0));
            return s.keep(patches.together(output.forward(y), latents));
        }
    }

    /** The patches with their places, {@code [B, N, D]}. */
    public Tensor patches(Tensor latents) {
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(latents);
            int rows = patches.rows(latents);
            int columns = patches.columns(latents);
            int n = config.placesSide;
            Check.atMost(n, rows, "pos_embed_max_size", "rows of patches");
            Check.atMost(n, columns, "pos_embed_max_size", "columns of patches");
            Tensor middle = places.unflatten(1, n, n)
                    .narrow(1, (n - rows) / 2, rows)
                    .narrow(2, (n - columns) / 2, columns)
                    .flatten(1, 2); // [1, N, D]
            return s.keep(Patches.placed(x, middle));
        }
    }

    /** Time and pooled text, {@code [B, D]}. */
    public Tensor condition(Tensor timesteps, Tensor pooled) {
        return timeAndText.forward(timesteps, pooled, null);
    }

    /** Text tokens in the hidden size, {@code [B, L, D]}. */
    public Tensor context(Tensor text) {
        return context.forward(text);
    }

    /** Picture and text after each block; after the last only the picture. */
    public List<List<Tensor>> hiddenStates(Tensor latents, Tensor timesteps, Tensor text, Tensor pooled) {
        List<List<Tensor>> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor condition = condition(timesteps, pooled);
            Tokens x = new Tokens(patches(latents), context(text));
            for (Block block : blocks) {
                x = block.forward(x, condition);
                r.add(block.textGoesOn ? List.of(s.keep(x.picture()), s.keep(x.text())) : List.of(s.keep(x.picture())));
            }
        }
        return r;
    }

    /** Attention of both, then a feed-forward layer for each, all shifted, scaled and gated by time and pooled text. */
    private static final class Block {
        private final boolean textGoesOn;
        private final Modulation modulation;
        private final Modulation textModulation;
        private final LayerNorm norm;
        private final JointAttention attention;
        private final JointAttention.@Nullable Stream again;
        private final @Nullable Linear againOutput;
        private final Mlp feed;
        private final @Nullable Mlp textFeed;

        Block(Config c, Weights w, int layer) {
            int d = c.hidden();
            boolean dual = c.dualAttention.contains(layer);
            textGoesOn = layer < c.layers - 1;
            modulation = new Modulation(w.at("norm1.linear"), d, dual ? 9 : 6);
            textModulation = new Modulation(w.at("norm1_context.linear"), d, textGoesOn ? 6 : 2);
            norm = Modulation.norm(d);
            attention = new JointAttention(w.at("attn"), d, c.heads, c.normed, textGoesOn);
            again = dual ? JointAttention.Stream.picture(w.at("attn2"), d, c.heads, c.normed) : null;
            againOutput = dual ? new Linear(w.at("attn2.to_out.0"), d, d) : null;
            feed = Mlp.feedForward(w.at("ff"), d, 4L * d, Act.GELU_TANH);
            textFeed = textGoesOn ? Mlp.feedForward(w.at("ff_context"), d, 4L * d, Act.GELU_TANH) : null;
        }

        Tokens forward(Tokens x, Tensor condition) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = modulation.forward(condition);
                List<Tensor> t = textModulation.forward(condition);
                Tensor normed = norm.forward(x.picture());
                Tensor textNormed = norm.forward(x.text());
                Tokens a = attention.forward(
                        new Tokens(
                                Modulation.apply(normed, m.get(0), m.get(1)),
                                // Where the text ends here, the scale comes before the shift.
                                textGoesOn
                                        ? Modulation.apply(textNormed, t.get(0), t.get(1))
                                        : Modulation.apply(textNormed, t.get(1), t.get(0))),
                        null);
                Tensor picture = x.picture().add(a.picture().mul(m.get(2)));
                if (again != null && againOutput != null) {
                    Tensor second = again.attend(Modulation.apply(normed, m.get(6), m.get(7)), null);
                    picture = picture.add(againOutput.forward(second).mul(m.get(8)));
                }
                picture = fed(picture, feed, m);
                Tensor text =
                        textFeed == null ? x.text() : fed(x.text().add(a.text().mul(t.get(2))), textFeed, t);
                return new Tokens(s.keep(picture), textFeed == null ? text : s.keep(text));
            }
        }

        private Tensor fed(Tensor x, Mlp feed, List<Tensor> m) {
            Tensor h = Modulation.apply(norm.forward(x), m.get(3), m.get(4));
            return x.add(feed.forward(h).mul(m.get(5)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
