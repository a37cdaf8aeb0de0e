package dev.zoetrope.training.evaluation;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** How well pictures show what their texts say, arXiv:2104.08718: a hundred times the cosine, at least 0. */
public final class ClipScore {
    private ClipScore() {}

    /** {@code images, texts [pair, F]}, of any length -> {@code [pair]}. */
    public static Tensor each(Tensor images, Tensor texts) {
        try (Scope s = Scope.open()) {
            return s.keep(cosines(images, texts).clamp(0, Double.POSITIVE_INFINITY));
        }
    }

    /** Of all pairs; cosines below zero count before the mean is cut at 0. */
    public static double mean(Tensor images, Tensor texts) {
        try (Scope s = Scope.open()) {
            return Math.max(0, cosines(images, texts).mean().item());
        }
    }

    private static Tensor cosines(Tensor images, Tensor texts) {
        Tensor a = images.div(images.norm(true, -1));
        Tensor b = texts.div(texts.norm(true, -1));
        return a.mul(b).sum(-1).mul(100.0);
    }
}
