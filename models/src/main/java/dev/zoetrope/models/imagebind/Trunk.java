package dev.zoetrope.models.imagebind;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The transformer of one modality: pre-norm blocks, {@code [B, T, D] -> [B, T, D]}, without a norm at the end. */
final class Trunk {
    static final double EPS = 1e-6;

    private final @Nullable LayerNorm first;
    private final List<Block> blocks;
    private final boolean causal;

    /**
     * @param normed whether a norm stands in front
     * @param extra whether each block has a key and a value of its own beside those of the tokens
     */
    Trunk(Weights w, ImageBind.Tower t, boolean normed, boolean extra, boolean causal) {
        first = normed ? new LayerNorm(w.at("pre_transformer_layer.0"), t.width(), EPS) : null;
        blocks = w.at("blocks").stack(t.blocks(), at -> new Block(at, t, extra));
        this.causal = causal;
    }

    Tensor forward(Tensor tokens) {
        return run(tokens, blocks.size());
    }

    /** After so many blocks. */
    Tensor run(Tensor tokens, int depth) {
        try (Scope s = Scope.open()) {
            Tensor x = first == null ? tokens : first.forward(tokens);
            for (Block block : blocks.subList(0, depth)) {
                x = block.forward(x, causal);
            }
            return s.keep(x);
        }
    }

    private static final class Block {
        private final LayerNorm attentionNorm;
        private final Linear in;
        private final Linear out;
        private final @Nullable Tensor extraKey;
        private final @Nullable Tensor extraValue;
        private final LayerNorm mlpNorm;
        private final Mlp mlp;
        private final int heads;

        Block(Weights w, ImageBind.Tower t, boolean extra) {
            long d = t.width();
            heads = t.heads();
            Weights a = w.at("attn");
            in = new Linear(
                    a.product("in_proj_weight", Init.xavier(), 3 * d, d),
                    a.tensor("in_proj_bias", Init.zeros(), 3 * d));
            extraKey = extra ? a.tensor("bias_k", Init.xavierNormal(1), 1, 1, d) : null;
            extraValue = extra ? a.tensor("bias_v", Init.xavierNormal(1), 1, 1, d) : null;
            out = new Linear(a.at("out_proj"), d, d);
            attentionNorm = new LayerNorm(w.at("norm_1"), d, EPS);
            Weights m = w.at("mlp");
            mlp = new Mlp(new Linear(m.at("fc1"), d, 4 * d), Act.GELU, new Linear(m.at("fc2"), 4 * d, d));
            mlpNorm = new LayerNorm(w.at("norm_2"), d, EPS);
        }

        Tensor forward(Tensor x, boolean causal) {
            try (Scope s = Scope.open()) {
                List<Tensor> qkv = in.forward(attentionNorm.forward(x)).chunk(3, -1);
                Tensor y = Functional.attention(
                        Heads.split(qkv.get(0), heads),
                        Heads.split(with(qkv.get(1), extraKey), heads),
                        Heads.split(with(qkv.get(2), extraValue), heads),
                        null,
                        causal,
                        null);
                Tensor h = x.add(out.forward(Heads.merge(y)));
                return s.keep(h.add(mlp.forward(mlpNorm.forward(h))));
            }
        }

        private static Tensor with(Tensor x, @Nullable Tensor extra) {
            return extra == null ? x : Tensor.cat(1, x, extra.expand(x.size(0), 1, x.size(2)));
        }
    }
}
