package dev.zoetrope.bench;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import java.util.function.BiFunction;

/**
 * DiT (arXiv:2212.09748) of class-conditional latents, to be timed: the arithmetic of diffusers' DiTTransformer2DModel,
 * in which each block embeds time and label by itself. Positions are a fixed
 * table, of drawn numbers instead of sines. B pictures,
 * N = 256 patches, D hidden.
 */
final class Dit {
    record Config(int heads, int headSize, int layers) {
        static final Config XL2 = new Config(16, 72, 28);
        static final Config B2 = new Config(12, 64, 12);

        int hidden() {
            return heads * headSize;
        }
    }

    /** Small numbers for matrices and nothing for biases: no layer is idle, none overflows. */
    static final BiFunction<String, Init, Init> INIT =
            (name, init) -> name.endsWith("bias") ? Init.zeros() : Init.normal(.02);

    private static final int SIDE = 16;
    private static final int CHANNELS = 4;
    private static final int PATCH = 2;
    private static final int LABELS = 1001;
    private static final int FREQUENCIES = 128;

    private final Conv2d patches;
    private final Tensor positions;
    private final List<Block> blocks;
    private final LayerNorm norm;
    private final Linear modulation;
    private final Linear output;

    Dit(Config c, Weights w) {
        long d = c.hidden();
        patches = Conv2d.patches(w.at("pos_embed.proj"), CHANNELS, d, PATCH);
        positions = w.buffer("pos_embed.pos_embed", Init.normal(.02), 1, SIDE * SIDE, d);
        blocks = w.at("transformer_blocks").stack(c.layers(), at -> new Block(c, at));
        norm = LayerNorm.plain(d, 1e-6);
        modulation = new Linear(w.at("proj_out_1"), d, 2 * d);
        output = new Linear(w.at("proj_out_2"), d, PATCH * PATCH * 2L * CHANNELS);
    }

    /** {@code latents [B, 4, 32, 32]}, {@code t, label [B]} INT64 -> {@code [B, 8, 32, 32]}. */
    Tensor forward(Tensor latents, Tensor t, Tensor label) {
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(latents).flatten(2).transpose(1, 2).add(positions); // [B, N, D]
            for (Block block : blocks) {
                x = block.forward(x, t, label);
            }
            Tensor condition = blocks.get(0).embed(t, label); // [B, D]
            List<Tensor> m = modulation.forward(condition.silu()).unsqueeze(1).chunk(2, -1);
            x = output.forward(modulate(norm.forward(x), m.get(0), m.get(1))); // [B, N, 32]
            return s.keep(x.unflatten(2, PATCH, PATCH, 2L * CHANNELS)
                    .unflatten(1, SIDE, SIDE) // [B, 16, 16, 2, 2, 8]
                    .permute(0, 5, 1, 3, 2, 4)
                    .flatten(4)
                    .flatten(2, 3)); // [B, 8, 32, 32]
        }
    }

    private static Tensor modulate(Tensor x, Tensor shift, Tensor scale) {
        return x.mul(scale.add(1)).add(shift);
    }

    /** Attention and MLP, each shifted, scaled and gated by time and label. */
    static final class Block {
        private final Linear timeUp;
        private final Linear timeDown;
        private final Embedding labels;
        private final Linear modulation;
        private final LayerNorm norm;
        private final Attention attention;
        private final Linear up;
        private final Linear down;

        Block(Config c, Weights w) {
            long d = c.hidden();
            Weights e = w.at("norm1.emb");
            timeUp = new Linear(e.at("timestep_embedder.linear_1"), 2 * FREQUENCIES, d);
            timeDown = new Linear(e.at("timestep_embedder.linear_2"), d, d);
            labels = new Embedding(e.at("class_embedder.embedding_table"), LABELS, d);
            modulation = new Linear(w.at("norm1.linear"), d, 6 * d);
            norm = LayerNorm.plain(d, 1e-6);
            attention = Attention.of(w.at("attn1"), (int) d, c.heads(), true, "to_q", "to_k", "to_v", "to_out.0");
            up = new Linear(w.at("ff.net.0.proj"), d, 4 * d);
            down = new Linear(w.at("ff.net.2"), 4 * d, d);
        }

        /** {@code [B] -> [B, D]}. */
        Tensor embed(Tensor t, Tensor label) {
            float[] f = new float[FREQUENCIES];
            for (int i = 0; i < f.length; i++) {
                f[i] = (float) Math.exp(-Math.log(10000) * i / (FREQUENCIES - 1));
            }
            Tensor angles = t.unsqueeze(1).mul(Tensor.of(f, 1, FREQUENCIES));
            Tensor waves = Tensor.cat(-1, angles.cos(), angles.sin())
                    .to(labels.weight().dtype());
            return timeDown.forward(timeUp.forward(waves).silu()).add(labels.forward(label));
        }

        Tensor forward(Tensor x, Tensor t, Tensor label) { // [B, N, D] -> [B, N, D]
            try (Scope s = Scope.open()) {
                Tensor condition = embed(t, label).silu();
                List<Tensor> m = modulation.forward(condition).unsqueeze(1).chunk(6, -1); // 6 x [B, 1, D]
                Tensor a = attention.forward(modulate(norm.forward(x), m.get(0), m.get(1)));
                x = x.add(a.mul(m.get(2)));
                Tensor h = up.forward(modulate(norm.forward(x), m.get(3), m.get(4)))
                        .geluTanh();
                return s.keep(x.add(down.forward(h).mul(m.get(5))));
            }
        }
    }
}
