package dev.zoetrope.training.evaluation;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/** How sure a classifier is of each picture and how evenly it sees all classes, arXiv:1606.03498. */
public final class InceptionScore {
    private InceptionScore() {}

    /** Over consecutive equal parts, with the deviation of the population. */
    public record Spread(double mean, double deviation) {}

    /** exp of the mean divergence of each picture's classes from all pictures': {@code probabilities [N, class]}. */
    public static double of(Tensor probabilities) {
        try (Scope s = Scope.open()) {
            Tensor p = probabilities.to(DType.FLOAT64);
            Tensor marginal = p.mean(true, 0);
            Tensor each = p.mul(log(p).sub(log(marginal))).sum(1);
            return Math.exp(each.mean().item());
        }
    }

    private static Tensor log(Tensor p) {
        return p.clamp(Double.MIN_NORMAL, 1).log(); // 0 log 0 is 0
    }

    public static Spread of(Tensor probabilities, int splits) {
        long size = probabilities.size(0) / splits;
        if (size == 0) {
            throw new UserError(probabilities.size(0) + " samples cannot be split into " + splits);
        }
        double[] scores = new double[splits];
        double mean = 0;
        for (int i = 0; i < splits; i++) {
            try (Scope s = Scope.open()) {
                scores[i] = of(probabilities.narrow(0, i * size, size));
            }
            mean += scores[i] / splits;
        }
        double variance = 0;
        for (double score : scores) {
            variance += (score - mean) * (score - mean) / splits;
        }
        return new Spread(mean, Math.sqrt(variance));
    }
}
