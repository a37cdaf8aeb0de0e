package dev.zoetrope.training.sam;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;

/**
 * The loss of Segment Anything, arXiv:2304.02643 appendix A: focal and dice for the mask, squared error for the guess of
 * its quality. Of several masks only the one with the least loss learns, so that each may mean something else.
 *
 * <p>Axes: B pictures, P prompts, M masks, H x W pixels.
 *
 * @param focalWeight published 20
 * @param diceWeight published 1
 * @param iouWeight published 1
 */
public record SamLoss(double focalWeight, double diceWeight, double iouWeight) {
    private static final double FOREGROUND_SHARE = 0.25;

    public static final SamLoss PUBLISHED = new SamLoss(20, 1, 1);

    /** Numbers without axes, means over prompts; {@code total} is what is made small. */
    public record Parts(Tensor total, Tensor focal, Tensor dice, Tensor iou) {}

    /**
     * @param logits {@code [B, P, M, H, W]}
     * @param predictedIou {@code [B, P, M]}
     * @param truth 0 and 1, {@code [B, P, H, W]}
     */
    public Parts of(Tensor logits, Tensor predictedIou, Tensor truth) {
        Tensor x = logits.to(DType.FLOAT32);
        Tensor t = truth.to(DType.FLOAT32).unsqueeze(2).expand(x.shape());
        Tensor focal = focal(x, t); // [B, P, M]
        Tensor dice = dice(x, t);
        Tensor segmentation = focal.mul(focalWeight).add(dice.mul(diceWeight));
        Tensor error = predictedIou.to(DType.FLOAT32).sub(iou(x.detach(), t)).square();
        Tensor best = segmentation.detach().argmin(-1).unsqueeze(-1); // [B, P, 1]
        Tensor bestFocal = focal.gather(-1, best).mean();
        Tensor bestDice = dice.gather(-1, best).mean();
        Tensor bestError = error.gather(-1, best).mean();
        Tensor total = bestFocal.mul(focalWeight).add(bestDice.mul(diceWeight)).add(bestError.mul(iouWeight));
        return new Parts(total, bestFocal, bestDice, bestError);
    }

    /** Mean over pixels of alpha (1 - p of the truth)^2 times cross-entropy, arXiv:1708.02002. */
    private static Tensor focal(Tensor x, Tensor t) {
        Tensor signed = x.mul(t.mul(2).sub(1)); // large where right
        Tensor wrong = signed.neg().sigmoid();
        Tensor share = t.mul(2 * FOREGROUND_SHARE - 1).add(1 - FOREGROUND_SHARE);
        return share.mul(wrong.square()).mul(signed.logSigmoid().neg()).mean(-2, -1);
    }

    /** 1 - (2 p t + 1) / (p + t + 1), each summed over pixels. */
    private static Tensor dice(Tensor x, Tensor t) {
        Tensor p = x.sigmoid();
        Tensor common = p.mul(t).sum(-2, -1).mul(2).add(1);
        return common.div(p.sum(-2, -1).add(t.sum(-2, -1)).add(1)).rsub(1);
    }

    /** Of masks above logit 0 with the truth, {@code [B, P, M]}. */
    static Tensor iou(Tensor logits, Tensor truth) {
        Tensor mask = logits.gt(0).to(DType.FLOAT32);
        Tensor common = mask.mul(truth).sum(-2, -1);
        Tensor all = mask.sum(-2, -1).add(truth.sum(-2, -1)).sub(common);
        return common.div(all.clamp(1, Double.POSITIVE_INFINITY));
    }
}
