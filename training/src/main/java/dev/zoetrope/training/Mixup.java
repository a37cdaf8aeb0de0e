package dev.zoetrope.training;

import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Each picture of a batch mixed with another one, and the loss with both labels, arXiv:1710.09412. B pictures, C classes.
 *
 * @param mix share of the picture itself, 0 to 1
 * @param partner {@code [B]} INT64, which other picture is mixed in
 */
public record Mixup(double mix, Tensor partner) {
    /** A share from Beta(alpha, alpha) and partners at random; the tensor belongs to the innermost scope. */
    public static Mixup draw(double alpha, long batch, RandomSource random) {
        return new Mixup(beta(alpha, random), random.permutation(batch));
    }

    /** Jöhnk's method. */
    private static double beta(double alpha, RandomSource random) {
        while (true) {
            double x = Math.pow(random.nextDouble(), 1 / alpha);
            double y = Math.pow(random.nextDouble(), 1 / alpha);
            if (x + y > 0 && x + y <= 1) {
                return x / (x + y);
            }
        }
    }

    /** {@code [B, ...]}. */
    public Tensor of(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(pixels.mul(mix).add(pixels.indexSelect(0, partner).mul(1 - mix)));
        }
    }

    /**
     * Cross-entropy with the mixed labels; it is linear in them.
     *
     * @param logits {@code [B, C]}
     * @param labels {@code [B]} INT64
     */
    public Tensor loss(Tensor logits, Tensor labels, double labelSmoothing) {
        try (Scope s = Scope.open()) {
            Tensor own = Functional.crossEntropy(logits, labels, -100, labelSmoothing);
            Tensor other = Functional.crossEntropy(logits, labels.indexSelect(0, partner), -100, labelSmoothing);
            return s.keep(own.mul(mix).add(other.mul(1 - mix)));
        }
    }
}
