package dev.zoetrope.models.language;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** What a language model is trained on: each token says which one comes next. */
public final class NextToken {
    /** A label that does not count. */
    public static final long IGNORED = -100;

    private NextToken() {}

    /**
     * Mean cross-entropy of the labels that count.
     *
     * @param logits {@code [B, T, V]}
     * @param labels {@code [B, T]} INT64, of the tokens themselves: those of one place are held against the scores of the
     *     place before
     */
    public static Tensor loss(Tensor logits, Tensor labels) {
        return loss(logits, labels, 0);
    }

    /** @param smoothing the part of each label that goes to all tokens alike */
    public static Tensor loss(Tensor logits, Tensor labels, double smoothing) {
        try (Scope s = Scope.open()) {
            long last = logits.size(1) - 1;
            Tensor scores = logits.narrow(1, 0, last).flatten(0, 1).to(DType.FLOAT32); // [B (T - 1), V]
            Tensor next = labels.narrow(1, 1, last).reshape(-1).to(logits.device());
            return s.keep(Functional.crossEntropy(scores, next, IGNORED, smoothing));
        }
    }
}
