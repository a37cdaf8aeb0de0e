package dev.zoetrope.training.evaluation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * How often a classifier is right.
 *
 * @param top1 share of samples whose class has the highest score
 * @param top5 share of samples whose class is among the five highest
 * @param confusion samples by [true class, predicted class]
 * @param meanClassAccuracy mean over the classes that occur of the share of their samples that are right
 */
@SuppressWarnings("ArrayRecordComponent")
public record Classification(double top1, double top5, long[][] confusion, double meanClassAccuracy) {

    /**
     * @param logits {@code [sample, class]}
     * @param labels {@code [sample]} INT64
     */
    public static Classification of(Tensor logits, Tensor labels) {
        int samples = (int) logits.size(0);
        int classes = (int) logits.size(1);
        Check.positive(samples, "number of samples");
        Check.equal(labels.size(0), samples, "number of labels", "number of samples");
        int k = Math.min(5, classes);
        long[] truth = labels.toLongs();
        long[] best;
        try (Scope s = Scope.open()) {
            best = logits.topk(k, -1).indices().toLongs();
        }
        long[][] confusion = new long[classes][classes];
        int right = 0;
        int near = 0;
        for (int i = 0; i < samples; i++) {
            confusion[(int) truth[i]][(int) best[i * k]]++;
            right += best[i * k] == truth[i] ? 1 : 0;
            for (int j = 0; j < k; j++) {
                near += best[i * k + j] == truth[i] ? 1 : 0;
            }
        }
        return new Classification((double) right / samples, (double) near / samples, confusion, meanRecall(confusion));
    }

    private static double meanRecall(long[][] confusion) {
        double sum = 0;
        int occurring = 0;
        for (int c = 0; c < confusion.length; c++) {
            long all = 0;
            for (long n : confusion[c]) {
                all += n;
            }
            if (all > 0) {
                sum += (double) confusion[c][c] / all;
                occurring++;
            }
        }
        return sum / occurring;
    }
}
