package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.DType;
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
    private static final double MODULATED_EPS = 1e-6;

    /**
     * @param side rows and columns of the latents trained on, to which positions refer
     * @param outChannels O: twice the latent channels where the model predicts a variance beside the noise
     * @param classes classes of the labels; one more label, equal to this number, says "no class"
     * @param eps of the norm before a block's feed-forward layer
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
            double eps) {
        public Config {
            Check.divides(patch, side, "patch_size", "sample_size");
            Check.positive(inChannels, "in_channels");
            Check.positive(outChannels, "out_channels");
            Check.positive(layers, "num_layers");
            Check.divides(4, (long) heads * headSize, "4", "num_attention_heads * attention_head_dim");
            Check.positive(classes, "num_embeds_ada_norm");
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
                    j.get("norm_eps", 1e-5));
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
            return new Config(32, 2, 4, 8, layers, heads, headSize, 1000, true, 1e-5);
        }

        public int hidden() {
            return heads * headSize;
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv2d patches;
    private final List<Block> blocks;
    private final LayerNorm norm;
    private final Linear modulation;
    private final Linear output;

    public Dit(Config c, Weights published) {
        Weights w = published.initialised((name, init) -> initial(name));
        weights = published;
        config = c;
        int d = c.hidden();
        patches = Conv2d.patches(w.at("pos_embed.proj"), c.inChannels, d, c.patch);
        blocks = w.at("transformer_blocks").stack(c.layers, at -> new Block(c, at));
        norm = LayerNorm.plain(d, MODULATED_EPS);
        modulation = new Linear(w.at("proj_out_1"), d, 2L * d);
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
                x = block.forward(x, timesteps, labels);
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
        int p = config.patch;
        Check.shape(latents.shape(), "latents", -1, config.inChannels, -1, -1);
        Check.divides(p, latents.size(2), "patch_size", "height of the latents");
        Check.divides(p, latents.size(3), "patch_size", "width of the latents");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(latents).flatten(2).transpose(1, 2); // [B, N, D]
            Tensor place = positions((int) latents.size(2) / p, (int) latents.size(3) / p);
            return s.keep(x.add(place.to(x.dtype()).to(x.device())));
        }
    }

    private Tensor predict(Tensor x, Tensor condition, Tensor latents) {
        int p = config.patch;
        List<Tensor> m = modulation.forward(condition.silu()).unsqueeze(1).chunk(2, -1); // 2 x [B, 1, D]
        Tensor y = output.forward(modulate(norm.forward(x), m.get(0), m.get(1))); // [B, N, p p O]
        return y.unflatten(2, p, p, config.outChannels)
                .unflatten(1, latents.size(2) / p, latents.size(3) / p) // [B, H/p, W/p, p, p, O]
                .permute(0, 5, 1, 3, 2, 4)
                .flatten(4)
                .flatten(2, 3); // [B, O, H, W]
    }

    /**
     * Sines and cosines of a patch's column (first half) and row, {@code [N, D]}. Larger pictures have finer steps over
     * the range trained on.
     */
    private Tensor positions(int rows, int columns) {
        long half = config.hidden() / 2;
        return Tensor.cat(
                        -1,
                        waves(columns).unsqueeze(0).expand(rows, columns, half),
                        waves(rows).unsqueeze(1).expand(rows, columns, half))
                .flatten(0, 1);
    }

    /** {@code [n, D / 2]}. */
    private Tensor waves(int n) {
        int frequencies = config.hidden() / 4;
        double step = (double) config.side / config.patch / n;
        float[] table = new float[n * 2 * frequencies];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < frequencies; k++) {
                double angle = i * step / Math.pow(10000, (double) k / frequencies);
                table[2 * i * frequencies + k] = (float) Math.sin(angle);
                table[(2 * i + 1) * frequencies + k] = (float) Math.cos(angle);
            }
        }
        return Tensor.of(table, n, 2L * frequencies);
    }

    private static Tensor modulate(Tensor x, Tensor shift, Tensor scale) {
        return x.mul(scale.add(1)).add(shift);
    }

    /** Attention, then feed-forward, each shifted, scaled and gated by time and class. */
    public static final class Block {
        private final Conditioning conditioning;
        private final Linear modulation;
        private final Attention attention;
        private final LayerNorm attentionNorm;
        private final LayerNorm feedNorm;
        private final Linear up;
        private final Linear down;

        public Block(Config c, Weights w) {
            int d = c.hidden();
            conditioning = new Conditioning(c, w.at("norm1.emb"));
            modulation = new Linear(w.at("norm1.linear"), d, 6L * d);
            attention = Attention.of(w.at("attn1"), d, c.heads, c.attentionBias, "to_q", "to_k", "to_v", "to_out.0");
            attentionNorm = LayerNorm.plain(d, MODULATED_EPS);
            feedNorm = LayerNorm.plain(d, c.eps);
            up = new Linear(w.at("ff.net.0.proj"), d, 4L * d);
            down = new Linear(w.at("ff.net.2"), 4L * d, d);
        }

        /** {@code x [B, N, D]}, {@code timesteps, labels [B]} -> {@code [B, N, D]}. */
        public Tensor forward(Tensor x, Tensor timesteps, Tensor labels) {
            try (Scope s = Scope.open()) {
                Tensor condition = conditioning.forward(timesteps, labels); // [B, D]
                List<Tensor> m =
                        modulation.forward(condition.silu()).unsqueeze(1).chunk(6, -1); // 6 x [B, 1, D]
                Tensor a = attention.forward(modulate(attentionNorm.forward(x), m.get(0), m.get(1)));
                x = x.add(a.mul(m.get(2)));
                Tensor h = up.forward(modulate(feedNorm.forward(x), m.get(3), m.get(4)));
                return s.keep(x.add(down.forward(h.geluTanh()).mul(m.get(5))));
            }
        }
    }

    /** Time and class as a vector. Published weights have one in every block, with weights of its own. */
    private static final class Conditioning {
        private static final int WAVES = 128;

        private final Linear timeUp;
        private final Linear timeDown;
        private final Embedding classes;

        Conditioning(Config c, Weights w) {
            int d = c.hidden();
            timeUp = new Linear(w.at("timestep_embedder.linear_1"), 2L * WAVES, d);
            timeDown = new Linear(w.at("timestep_embedder.linear_2"), d, d);
            classes = new Embedding(w.at("class_embedder.embedding_table"), c.classes + 1L, d);
        }

        Tensor forward(Tensor timesteps, Tensor labels) { // [B], [B] -> [B, D]
            try (Scope s = Scope.open()) {
                Tensor waves = waves(timesteps).to(timeUp.weight().dtype());
                Tensor time = timeDown.forward(timeUp.forward(waves).silu());
                return s.keep(time.add(classes.forward(labels)));
            }
        }

        /** Cosines, then sines; the lowest frequency is 1 / 10000 itself (the original release stops short of it). */
        private static Tensor waves(Tensor timesteps) {
            Tensor frequencies = Tensor.arange(WAVES)
                    .to(DType.FLOAT32)
                    .mul(-Math.log(10000))
                    .div(WAVES - 1.0)
                    .exp()
                    .to(timesteps.device());
            Tensor angles = timesteps.to(DType.FLOAT32).unsqueeze(1).mul(frequencies); // [B, W]
            return Tensor.cat(-1, angles.cos(), angles.sin());
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
