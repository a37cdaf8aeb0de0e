package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * From an image embedding and the tokens of prompts to masks and a guess of how good each is.
 *
 * <p>Axes: B pictures, P prompts, T tokens, M masks, C channels, H x W cells of the image embedding, N = H W.
 */
public final class SamMaskDecoder {
    /** The narrowing inside a block's cross attention; the configuration speaks of the last attention only. */
    private static final int BLOCK_DOWNSAMPLE = 2;

    private static final double FINAL_EPS = 1e-5;
    private static final double UPSCALE_EPS = 1e-6;
    static final int HYPER_LAYERS = 3;

    /**
     * Bytes of the largest features of the prompts that are decoded at a time. Larger blocks would be handed back to the
     * system and cleared anew at every step, which costs more than the arithmetic.
     */
    private static final long PIECE = 28L << 20;

    /**
     * @param masks logits {@code [B, P, M, 4 H, 4 W]}
     * @param iou predicted intersection over union with the true mask, {@code [B, P, M]}
     */
    public record Output(Tensor masks, Tensor iou) {}

    private final SamConfig.Decoder config;
    private final Embedding iouToken;
    private final Embedding maskTokens;
    private final List<Block> blocks;
    private final CrossAttention finalAttention;
    private final LayerNorm finalNorm;
    private final Children upscaleIn;
    private final LayerNorm upscaleNorm;
    private final Children upscaleOut;
    private final List<FeedForward> hyper;
    private final FeedForward iouHead;

    SamMaskDecoder(SamConfig.Decoder c, Weights w) {
        config = c;
        int d = c.hidden();
        iouToken = new Embedding(w.at("iou_token"), 1, d);
        maskTokens = new Embedding(w.at("mask_tokens"), c.tokens(), d);
        Weights t = w.at("transformer");
        List<Block> all = new ArrayList<>();
        for (int i = 0; i < c.layers(); i++) {
            all.add(new Block(c, i == 0, t.at("layers").at(i)));
        }
        blocks = List.copyOf(all);
        finalAttention = new CrossAttention(t.at("final_attn_token_to_image"), c, c.downsample());
        finalNorm = new LayerNorm(t.at("layer_norm_final_attn"), d, FINAL_EPS);
        upscaleIn = new Children(w.at("upscale_conv1"), d, d / 4);
        upscaleNorm = new LayerNorm(w.at("upscale_layer_norm"), d / 4, UPSCALE_EPS);
        upscaleOut = new Children(w.at("upscale_conv2"), d / 4, d / 8);
        hyper = w.at("output_hypernetworks_mlps")
                .stack(c.tokens(), at -> new FeedForward(at, d, d, d / 8, HYPER_LAYERS));
        iouHead = new FeedForward(w.at("iou_prediction_head"), d, c.iouHidden(), c.tokens(), c.iouLayers());
    }

    /**
     * @param image {@code [B, C, H, W]}
     * @param positions of the cells, {@code [1, C, H, W]}
     * @param sparse tokens of the prompts {@code [B, P, T, C]}; null where prompts have none
     * @param dense added to the picture, {@code [B, P or 1, C, H, W]}
     * @param ambiguous whether to answer with the masks for an ambiguous prompt, or with the one for a clear one
     */
    public Output forward(Tensor image, Tensor positions, @Nullable Tensor sparse, Tensor dense, boolean ambiguous) {
        long prompts = sparse != null ? sparse.size(1) : dense.size(1);
        long enlarged = 16 * image.size(2) * image.size(3) * (config.hidden() / 8) * Float.BYTES;
        long atOnce = Math.max(1, PIECE / (enlarged * image.size(0)));
        List<Tensor> masks = new ArrayList<>();
        List<Tensor> iou = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor places = positions.flatten(2).transpose(1, 2).unsqueeze(1); // [1, 1, N, C]
            for (long from = 0; from < prompts; from += atOnce) {
                long n = Math.min(atOnce, prompts - from);
                Tensor tokens = sparse == null ? null : sparse.narrow(1, from, n);
                Tensor added = dense.size(1) == 1 ? dense : dense.narrow(1, from, n);
                Tensor keys = image.unsqueeze(1).add(added); // [B, P or 1, C, H, W]
                Output some = some(keys, places, tokens, n, ambiguous);
                masks.add(some.masks());
                iou.add(some.iou());
            }
            return new Output(s.keep(joined(masks)), s.keep(joined(iou)));
        }
    }

    private static Tensor joined(List<Tensor> parts) {
        return parts.size() == 1 ? parts.get(0) : Tensor.cat(1, parts);
    }

    private Output some(Tensor picture, Tensor places, @Nullable Tensor sparse, long prompts, boolean ambiguous) {
        try (Scope s = Scope.open()) {
            long side = picture.size(3);
            long width = picture.size(4);
            Tensor own = Tensor.cat(0, iouToken.weight(), maskTokens.weight())
                    .expand(picture.size(0), prompts, -1, -1); // [B, P, 1 + masks + 1, C]
            Tensor tokens = sparse == null ? own : Tensor.cat(2, own, sparse);
            Tensor image = picture.flatten(3).transpose(2, 3); // [B, P or 1, N, C]
            Tensor queries = tokens;
            for (Block block : blocks) {
                Block.State next = block.forward(queries, image, tokens, places);
                queries = next.tokens();
                image = next.image();
            }
            Tensor attended = finalAttention.forward(queries.add(tokens), image.add(places), image);
            queries = finalNorm.forward(queries.add(attended));
            int first = ambiguous ? 1 : 0;
            int count = ambiguous ? config.masks() : 1;
            List<Tensor> weights = new ArrayList<>();
            for (int i = first; i < first + count; i++) {
                weights.add(hyper.get(i).forward(queries.select(2, 1 + i)));
            }
            Tensor masks = masks(image, Tensor.stack(2, weights), side, width);
            Tensor iou = iouHead.forward(queries.select(2, 0)).narrow(-1, first, count);
            return new Output(s.keep(masks), s.keep(iou));
        }
    }

    /**
     * Enlarges the features twice and weighs them for each mask. The children of a cell stay beside it until only masks
     * are left: those are put in their places, not the many features.
     */
    private Tensor masks(Tensor image, Tensor weights, long rows, long columns) {
        try (Scope s = Scope.open()) {
            Tensor x = upscaleNorm.forward(upscaleIn.forward(image)).gelu(); // [B, P, N, 2, 2, C/4]
            x = upscaleOut.forward(x).gelu().flatten(2, 6); // [B, P, 16 N, C/8]
            Tensor m = weights.matmul(x.transpose(2, 3)); // [B, P, M, 16 N]
            return s.keep(m.unflatten(-1, rows, columns, 2, 2, 2, 2)
                    .permute(0, 1, 2, 3, 5, 7, 4, 6, 8)
                    .flatten(6)
                    .flatten(3, 5)); // [B, P, M, 4 H, 4 W]
        }
    }

    /** Tokens attend to themselves, then to the picture; then the picture attends to them. */
    private static final class Block {
        record State(Tensor tokens, Tensor image) {}

        private final boolean first;
        private final CrossAttention selfAttention;
        private final LayerNorm selfNorm;
        private final CrossAttention toImage;
        private final LayerNorm toImageNorm;
        private final SamMlp mlp;
        private final LayerNorm mlpNorm;
        private final LayerNorm imageNorm;
        private final CrossAttention toTokens;

        Block(SamConfig.Decoder c, boolean first, Weights w) {
            this.first = first;
            int d = c.hidden();
            selfAttention = new CrossAttention(w.at("self_attn"), c, 1);
            selfNorm = new LayerNorm(w.at("layer_norm1"), d, c.eps());
            toImage = new CrossAttention(w.at("cross_attn_token_to_image"), c, BLOCK_DOWNSAMPLE);
            toImageNorm = new LayerNorm(w.at("layer_norm2"), d, c.eps());
            mlp = new SamMlp(w.at("mlp"), d, c.mlp(), c.activation());
            mlpNorm = new LayerNorm(w.at("layer_norm3"), d, c.eps());
            imageNorm = new LayerNorm(w.at("layer_norm4"), d, c.eps());
            toTokens = new CrossAttention(w.at("cross_attn_image_to_token"), c, BLOCK_DOWNSAMPLE);
        }

        /** {@code tokens [B, P, T, C]}, {@code image [B, P or 1, N, C]}; what they were at first marks their places. */
        State forward(Tensor tokens, Tensor image, Tensor tokenPlaces, Tensor places) {
            try (Scope s = Scope.open()) {
                Tensor t = tokens;
                if (first) { // the tokens are their own places still
                    t = selfAttention.forward(t, t, t);
                } else {
                    Tensor placed = t.add(tokenPlaces);
                    t = t.add(selfAttention.forward(placed, placed, t));
                }
                t = selfNorm.forward(t);
                Tensor placedImage = image.add(places);
                t = toImageNorm.forward(t.add(toImage.forward(t.add(tokenPlaces), placedImage, image)));
                t = mlpNorm.forward(t.add(mlp.forward(t)));
                Tensor i = imageNorm.forward(image.add(toTokens.forward(placedImage, t.add(tokenPlaces), t)));
                return new State(s.keep(t), s.keep(i));
            }
        }
    }

    /** Attention whose keys and values come from different tensors, narrower inside than C. */
    private static final class CrossAttention {
        private final Linear query;
        private final Linear key;
        private final Linear value;
        private final Linear output;
        private final int heads;

        CrossAttention(Weights w, SamConfig.Decoder c, int downsample) {
            int inner = c.hidden() / downsample;
            heads = c.heads();
            query = new Linear(w.at("q_proj"), c.hidden(), inner);
            key = new Linear(w.at("k_proj"), c.hidden(), inner);
            value = new Linear(w.at("v_proj"), c.hidden(), inner);
            output = new Linear(w.at("out_proj"), inner, c.hidden());
        }

        /**
         * {@code x [B, P, Q, C]}, {@code keys, values [B, P, K, C]} -> {@code [B, P, Q, C]}. Before the first block the
         * picture is the same for all prompts: P is 1 on its side, and its projections are made once.
         */
        Tensor forward(Tensor x, Tensor keys, Tensor values) {
            try (Scope s = Scope.open()) {
                Tensor q = query.forward(x);
                Tensor k = key.forward(keys);
                Tensor v = value.forward(values);
                Tensor y;
                if (k.size(1) < q.size(1)) {
                    y = attend(q.flatten(1, 2), k.squeeze(1), v.squeeze(1)) // [B, P Q, C']
                            .unflatten(1, q.size(1), q.size(2));
                } else {
                    y = attend(q.expand(-1, k.size(1), -1, -1).flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1))
                            .unflatten(0, k.size(0), k.size(1));
                }
                return s.keep(output.forward(y));
            }
        }

        private Tensor attend(Tensor q, Tensor k, Tensor v) {
            return Heads.merge(Functional.attention(
                    Heads.split(q, heads), Heads.split(k, heads), Heads.split(v, heads), null, false, null));
        }
    }

    /**
     * A transposed convolution whose 2 x 2 patches do not overlap: a linear layer from a cell to its four children,
     * {@code [..., in] -> [..., 2, 2, out]}, which is a plain matrix product.
     */
    private static final class Children {
        private final Tensor weight;
        private final Tensor bias;

        Children(Weights w, long in, long out) {
            weight = w.tensor("weight", Init.fanIn(), in, out, 2, 2);
            bias = w.tensor("bias", Init.fanInBias(4 * out), out);
        }

        Tensor forward(Tensor x) {
            Tensor flat = weight.permute(2, 3, 1, 0).flatten(0, 2); // [2 2 out, in]
            return Functional.linear(x, flat, bias.repeat(4)).unflatten(-1, 2, 2, -1);
        }
    }

    /** Linear layers with ReLU between them. */
    private static final class FeedForward {
        private final List<Linear> layers = new ArrayList<>();

        FeedForward(Weights w, int in, int hidden, int out, int depth) {
            layers.add(new Linear(w.at("proj_in"), in, hidden));
            layers.addAll(w.at("layers").stack(depth - 2, at -> new Linear(at, hidden, hidden)));
            layers.add(new Linear(w.at("proj_out"), hidden, out));
        }

        Tensor forward(Tensor x) {
            for (Linear layer : layers.subList(0, layers.size() - 1)) {
                x = layer.forward(x).relu();
            }
            return layers.get(layers.size() - 1).forward(x);
        }
    }
}
