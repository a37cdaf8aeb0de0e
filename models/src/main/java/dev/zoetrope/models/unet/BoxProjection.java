package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Boxes and what their phrases say as tokens, arXiv:2301.07093: n slots, F features of a phrase. */
final class BoxProjection {
    private static final int WAVES = 8;
    private static final int POSITION = WAVES * 2 * 4; // sines and cosines of four edges
    private static final int HIDDEN = 512;

    private final Linear first;
    private final Linear second;
    private final Linear third;
    private final Tensor noPhrase;
    private final Tensor noPosition;

    BoxProjection(Weights w, int phraseWidth, int width) {
        noPhrase = w.tensor("null_positive_feature", Init.zeros(), phraseWidth);
        noPosition = w.tensor("null_position_feature", Init.zeros(), POSITION);
        first = new Linear(w.at("linears.0"), phraseWidth + POSITION, HIDDEN);
        second = new Linear(w.at("linears.2"), HIDDEN, HIDDEN);
        third = new Linear(w.at("linears.4"), HIDDEN, width);
    }

    /** {@code boxes [B, n, 4]}, {@code masks [B, n]}, {@code phrases [B, n, F]} -> {@code [B, n, width]}. */
    Tensor forward(Tensor boxes, Tensor masks, Tensor phrases) {
        try (Scope s = Scope.open()) {
            Tensor used = masks.to(phrases.dtype()).unsqueeze(-1); // [B, n, 1]
            Tensor position = orElse(waves(boxes).to(phrases.dtype()), used, noPosition);
            Tensor all = Tensor.cat(-1, orElse(phrases, used, noPhrase), position);
            return s.keep(Steps.run(all, first, Tensor::silu, second, Tensor::silu, third));
        }
    }

    private static Tensor orElse(Tensor x, Tensor used, Tensor otherwise) {
        return x.mul(used).add(used.rsub(1).mul(otherwise));
    }

    /** For each frequency the sines of all edges, then their cosines: {@code [B, n, 64]}. */
    private static Tensor waves(Tensor boxes) {
        Tensor frequencies = Tensor.arange(WAVES)
                .to(DType.FLOAT32)
                .mul(Math.log(100) / WAVES)
                .exp()
                .to(boxes.device());
        Tensor angles = boxes.unsqueeze(-2).mul(frequencies.unsqueeze(-1)); // [B, n, 8, 4]
        return Tensor.stack(3, angles.sin(), angles.cos()).flatten(2); // [B, n, 8, 2, 4]
    }
}
