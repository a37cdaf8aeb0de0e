package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Turns points and boxes into tokens and an earlier mask into a picture of features.
 *
 * <p>Axes: B pictures, P prompts, K points, T tokens of a prompt, C channels, H x W cells of the image embedding.
 */
public final class SamPromptEncoder {
    private static final int BACKGROUND = 0;
    private static final int FOREGROUND = 1;
    private static final int FIRST_CORNER = 2;
    private static final int SECOND_CORNER = 3;
    private static final long NO_POINT = -1;
    private static final long PADDING = -10;

    private final SamConfig.Prompts config;
    private final int side;
    private final int imageSize;
    private final Tensor waves;
    private final Embedding noMask;
    private final List<Embedding> kinds;
    private final Embedding noPoint;
    private final MaskEmbedding masks;

    SamPromptEncoder(SamConfig c, Weights root) {
        config = c.prompts();
        side = c.vision().side();
        imageSize = c.vision().imageSize();
        waves = root.tensor("shared_image_embedding.positional_embedding", Init.normal(1), 2, config.hidden() / 2);
        Weights w = root.at("prompt_encoder");
        masks = new MaskEmbedding(config, w.at("mask_embed"));
        noMask = new Embedding(w.at("no_mask_embed"), 1, config.hidden());
        kinds = w.at("point_embed").stack(config.pointKinds(), at -> new Embedding(at, 1, config.hidden()));
        noPoint = new Embedding(w.at("not_a_point_embed"), 1, config.hidden());
        w.ignorable("shared_embedding\\.positional_embedding"); // older files store the waves twice
    }

    /** What each cell's place is, {@code [1, C, H, W]}. */
    public Tensor imagePositions() {
        try (Scope s = Scope.open()) {
            Tensor centres = Tensor.arange(side)
                    .to(waves.dtype())
                    .add(0.5)
                    .div((double) side)
                    .to(waves.device());
            Tensor x = centres.unsqueeze(0).expand(side, side);
            Tensor y = centres.unsqueeze(1).expand(side, side);
            return s.keep(encode(Tensor.stack(-1, x, y)).permute(2, 0, 1).unsqueeze(0));
        }
    }

    /** Points, then a box's corners, {@code [B, P, T, C]}; null where there is neither. */
    public @Nullable Tensor sparse(SamPrompts p) {
        try (Scope s = Scope.open()) {
            List<Tensor> tokens = new ArrayList<>();
            Tensor points = p.points();
            Tensor labels = p.labels();
            if (points != null && labels != null) {
                tokens.add(points(points, labels));
                if (p.boxes() == null) { // what stands in a box's place
                    tokens.add(noPoint.weight().expand(points.size(0), points.size(1), 1, -1));
                }
            }
            if (p.boxes() != null) {
                tokens.add(corners(p.boxes()));
            }
            return tokens.isEmpty() ? null : s.keep(Tensor.cat(2, tokens));
        }
    }

    /** Features that are added to the image embedding, {@code [B, P or 1, C, H, W]}. */
    public Tensor dense(SamPrompts p, long pictures) {
        try (Scope s = Scope.open()) {
            Tensor m = p.masks();
            if (m == null) {
                return s.keep(noMask.weight().reshape(1, 1, -1, 1, 1).expand(pictures, 1, -1, side, side));
            }
            Check.shape(m.shape(), "mask prompts", -1, -1, 4L * side, 4L * side);
            Tensor one = m.flatten(0, 1).unsqueeze(1); // [B P, 1, 4 H, 4 W]
            return s.keep(masks.forward(one).unflatten(0, m.size(0), m.size(1)));
        }
    }

    private Tensor points(Tensor points, Tensor labels) { // [B, P, K, 2], [B, P, K] -> [B, P, K, C]
        Tensor kind = labels.unsqueeze(-1);
        Tensor x = place(points);
        x = Tensor.where(kind.eq(NO_POINT), noPoint.weight(), x);
        x = x.maskedFill(kind.eq(PADDING), 0);
        x = Tensor.where(kind.eq((long) BACKGROUND), x.add(kinds.get(BACKGROUND).weight()), x);
        return Tensor.where(
                kind.eq((long) FOREGROUND), x.add(kinds.get(FOREGROUND).weight()), x);
    }

    private Tensor corners(Tensor boxes) { // [B, P, 4] -> [B, P, 2, C]
        Tensor kind = Tensor.cat(
                0, kinds.get(FIRST_CORNER).weight(), kinds.get(SECOND_CORNER).weight());
        return place(boxes.unflatten(-1, 2, 2)).add(kind);
    }

    /** Pixels count from their centres. */
    private Tensor place(Tensor xy) {
        return encode(xy.to(waves.dtype()).add(0.5).div((double) imageSize));
    }

    /** Sines, then cosines, of random directions (arXiv:2006.10739): {@code [..., 2]} in 0..1 to {@code [..., C]}. */
    private Tensor encode(Tensor xy) {
        Tensor angles = xy.mul(2).sub(1).matmul(waves).mul(2 * Math.PI);
        return Tensor.cat(-1, angles.sin(), angles.cos());
    }

    /** {@code [N, 1, 4 H, 4 W] -> [N, C, H, W]}. */
    private static final class MaskEmbedding {
        private final Conv2d in;
        private final LayerNorm inNorm;
        private final Conv2d middle;
        private final LayerNorm middleNorm;
        private final Conv2d out;
        private final Act activation;

        MaskEmbedding(SamConfig.Prompts c, Weights w) {
            int wide = c.maskChannels();
            int narrow = wide / 4;
            in = new Conv2d(w.at("conv1"), 1, narrow, 2, 2, 0);
            inNorm = new LayerNorm(w.at("layer_norm1"), narrow, c.eps());
            middle = new Conv2d(w.at("conv2"), narrow, wide, 2, 2, 0);
            middleNorm = new LayerNorm(w.at("layer_norm2"), wide, c.eps());
            out = new Conv2d(w.at("conv3"), wide, c.hidden(), 1, 1, 0);
            activation = c.activation();
        }

        Tensor forward(Tensor x) {
            x = activation.of(SamNeck.overChannels(inNorm, in.forward(x)));
            x = activation.of(SamNeck.overChannels(middleNorm, middle.forward(x)));
            return out.forward(x);
        }
    }
}
