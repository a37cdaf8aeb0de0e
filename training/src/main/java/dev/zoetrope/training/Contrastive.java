package dev.zoetrope.training;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Losses of pictures and texts that belong together by their place in the batch. B pairs. */
public final class Contrastive {
    private Contrastive() {}

    /**
     * Each picture has to find its text among the batch's, and each text its picture: mean cross-entropy over rows and
     * columns, arXiv:2103.00020.
     *
     * @param logits {@code [B, B]}, picture by text
     */
    public static Tensor softmax(Tensor logits) {
        try (Scope s = Scope.open()) {
            Tensor own = Tensor.arange(logits.size(0)).to(logits.device());
            Tensor rows = Functional.crossEntropy(logits, own);
            Tensor columns = Functional.crossEntropy(logits.transpose(0, 1), own);
            return s.keep(rows.add(columns).mul(0.5));
        }
    }

    /**
     * Each pair is judged on its own, arXiv:2303.15343: the sum over all pairs, divided by the pairs that belong together.
     *
     * @param logits {@code [B, B]}, picture by text
     */
    public static Tensor sigmoid(Tensor logits) {
        try (Scope s = Scope.open()) {
            long n = logits.size(0);
            Tensor sign = Tensor.eye(n).to(logits.device()).mul(2).sub(1); // 1 on the diagonal, -1 elsewhere
            return s.keep(logits.mul(sign).logSigmoid().sum().div((double) n).neg());
        }
    }

    /** Keeps the factor on cosines, {@code exp(logitScale)}, between 1 and a maximum, in place: after each step. */
    public static void clampScale(Tensor logitScale, double max) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            logitScale.copyInPlace(logitScale.clamp(0, Math.log(max)));
        }
    }
}
