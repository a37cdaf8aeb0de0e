package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.nn.TimeEmbedding;
import dev.zoetrope.nn.Timesteps;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Diffusion transformer with adaLN-Zero, arXiv:2212.09748, names as in facebook/DiT-XL-2-256 (its {@code transformer}).
 *
 * <p>Axes: B pictures, C latent channels, O predicted channels, H x W latent rows and columns, p a patch's side,
 * N = (H / p) (W / p) patches, D hidden size.
 */
public final class Dit implements AutoCloseable {
    /**
     * @param side rows and columns of the latents trained on, to which positions refer
     * @param outChannels O: twice the latent channels where the model predicts a variance beside the noise
     * @param classes classes of the labels; one more label, equal to this number, says "no class"
     * @param mlpRatio width of the feed-forward layers in hidden sizes
     * @param eps of the norm before a block's feed-forward layer
     * @param timeShift frequencies of the time fall to {@code 10000^(-i / (128 - timeShift))}: 1, or 0 in the original
     *     release
     */
    public record Config(
            int side,
            int patch,
            int inChannels,
            int outChannels,
            int layers,
            int heads,
            int headSize,
            int classes,
            boolean attentionBias,
            double mlpRatio,
            double eps,
            int timeShift) {
        public Config {
            Check.divides(patch, side, "patch_size", "sample_size");
            Check.positive(inChannels, "in_channels");
            Check.positive(outChannels, "out_channels");
            Check.positive(layers, "num_layers");
            Check.divides(4, (long) heads * headSize, "4", "num_attention_heads * attention_head_dim");
            Check.positive(classes, "num_embeds_ada_norm");
            Check.positive(mlpRatio, "mlp_ratio");
        }

        public static Config of(Json j) {
            j.expect("norm_type", "ada_norm_zero");
            j.expect("activation_fn", "gelu-approximate");
            j.expect("norm_elementwise_affine", false);
            int channels = j.get("in_channels", 4);
            return new Config(
                    j.get("sample_size", 32),
                    j.get("patch_size", 2),
                    channels,
                    j.get("out_channels", channels),
                    j.get("num_layers", 28),
                    j.get("num_attention_heads", 16),
                    j.get("attention_head_dim", 72),
                    j.get("num_embeds_ada_norm", 1000),
                    j.get("attention_bias", true),
                    4,
                    j.get("norm_eps", 1e-5),
                    1);
        }

        /** DiT-XL/2 for pictures of 256 x 256, 675 million parameters. */
        public static Config xl2() {
            return published(28, 16, 72);
        }

        /** DiT-B/2 for pictures of 256 x 256, 130 million parameters. */
        public static Config b2() {
            return published(12, 12, 64);
        }

        private static Config published(int layers, int heads, int headSize) {
            return new Config(32, 2, 4, 8, layers, heads, headSize, 1000, true, 4, 1e-5, 1);
        }

        public int hidden() {
            return heads * headSize;
        }

        /** Whether the model predicts a variance beside the noise. */
        public boolean learnsSigma() {
            return outChannels == 2 * inChannels;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Patches patches;
    private final List<Block> blocks;
    private final LayerNorm norm;
    private final Modulation modulation;
    private final Linear output;

    public Dit(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(name));
        weights = published;
        config = c;
        int d = c.hidden();
        patches = new Patches(w.at("pos_embed"), c.inChannels, d, c.patch);
        blocks = w.at("transformer_blocks").stack(c.layers, at -> new Block(c, at));
        norm = Modulation.norm(d);
        modulation = new Modulation(w.at("proj_out_1"), d, 2);
        output = new Linear(w.at("proj_out_2"), d, (long) c.patch * c.patch * c.outChannels);
        w.ignorable("pos_embed\\.pos_embed");
    }

    public static Dit load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Dit(Config.of(json), w));
    }

    /** adaLN-Zero: gates, shifts and the last layer start at zero, so that each block starts as the identity. */
    private static Init initial(String name) {
        if (name.endsWith("bias") || name.contains("norm1.linear") || name.contains("proj_out")) {
            return Init.zeros();
        }
        if (name.contains("norm1.emb")) {
            return Init.normal(0.02);
        }
        return name.contains("pos_embed") ? Dit::patchInit : Init.xavier();
    }

    /** The patch embedding is drawn as the linear layer that it is. */
    private static Tensor patchInit(RandomSource random, long... shape) {
        return Init.xavier()
                .draw(random, shape[0], shape[1] * shape[2] * shape[3])
                .reshape(shape);
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * @param latents noisy, {@code [B, C, H, W]}; H and W multiples of p
     * @param timesteps {@code [B]}, 0 to 999
     * @param labels {@code [B]} INT64, 0 to classes
     * @return predicted noise, and what belongs to its variance, {@code [B, O, H, W]}
     */
    public Tensor forward(Tensor latents, Tensor timesteps, Tensor labels) {
        try (Scope s = Scope.open()) {
            Tensor x = patches(latents);
            for (Block block : blocks) {
                x = s.replace(x, Recompute.block(y -> block.forward(y, timesteps, labels), x));
            }
            return s.keep(predict(x, condition(timesteps, labels), latents));
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [B, N, D]}. */
    public List<Tensor> hiddenStates(Tensor latents, Tensor timesteps, Tensor labels) {
        List<Tensor> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor x = patches(latents);
            r.add(s.keep(x));
            for (Block block : blocks) {
                x = block.forward(x, timesteps, labels);
                r.add(s.keep(x));
            }
        }
        return r;
    }

    /** Time and class as the first block sees them, which steer the last layer too: {@code [B, D]}. */
    public Tensor condition(Tensor timesteps, Tensor labels) {
        return blocks.get(0).conditioning.forward(timesteps, labels);
    }

    private Tensor patches(Tensor latents) {
        try (Scope s = Scope.open()) {
            double reach = (double) config.side / config.patch;
            Tensor places = Patches.places(patches.rows(latents), patches.columns(latents), config.hidden(), reach);
            return s.keep(Patches.placed(patches.forward(latents), places));
        }
    }

    private Tensor predict(Tensor x, Tensor condition, Tensor latents) {
        List<Tensor> m = modulation.forward(condition); // shift, scale
        Tensor y = output.forward(Modulation.apply(norm.forward(x), m.get(0), m.get(1))); // [B, N, p p O]
        return patches.together(y, latents);
    }

    /** Attention, then feed-forward, each shifted, scaled and gated by time and class. */
    public static final class Block {
        private final Conditioning conditioning;
        private final Modulation modulation;
        private final Attention attention;
        private final LayerNorm attentionNorm;
        private final LayerNorm feedNorm;
        private final Mlp feed;

        public Block(Config c, Weights w) {
            int d = c.hidden();
            conditioning = new Conditioning(c, w.at("norm1.emb"));
            modulation = new Modulation(w.at("norm1.linear"), d, 6);
            attention = Attention.of(w.at("attn1"), d, c.heads, c.attentionBias, "to_q", "to_k", "to_v", "to_out.0");
            attentionNorm = Modulation.norm(d);
            feedNorm = LayerNorm.plain(d, c.eps);
            feed = Mlp.feedForward(w.at("ff"), d, (long) (c.mlpRatio * d), Act.GELU_TANH);
        }

        /** {@code x [B, N, D]}, {@code timesteps, labels [B]} -> {@code [B, N, D]}. */
        public Tensor forward(Tensor x, Tensor timesteps, Tensor labels) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = modulation.forward(conditioning.forward(timesteps, labels)); // 6 x [B, 1, D]
                Tensor a = attention.forward(Modulation.apply(attentionNorm.forward(x), m.get(0), m.get(1)));
                x = x.add(a.mul(m.get(2)));
                Tensor h = feed.forward(Modulation.apply(feedNorm.forward(x), m.get(3), m.get(4)));
                return s.keep(x.add(h.mul(m.get(5))));
            }
        }
    }

    /** Time and class as a vector. Published weights have one in every block, with weights of its own. */
    private static final class Conditioning {
        private final Timesteps waves;
        private final TimeEmbedding time;
        private final Embedding classes;

        Conditioning(Config c, Weights w) {
            int d = c.hidden();
            waves = new Timesteps(TimeAndText.WAVES, true, c.timeShift);
            time = new TimeEmbedding(w.at("timestep_embedder"), TimeAndText.WAVES, d, Act.SILU);
            classes = new Embedding(w.at("class_embedder.embedding_table"), c.classes + 1L, d);
        }

        Tensor forward(Tensor timesteps, Tensor labels) { // [B], [B] -> [B, D]
            try (Scope s = Scope.open()) {
                return s.keep(time.forward(waves.forward(timesteps)).add(classes.forward(labels)));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
