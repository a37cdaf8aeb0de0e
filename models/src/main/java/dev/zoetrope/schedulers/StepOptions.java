package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;

/**
 * How much fresh noise steps add, and other choices that some schedulers offer for a run; the rest ignore them.
 *
 * @param eta of DDIM: 0 adds no noise, 1 as much as DDPM
 * @param clippedOutput of DDIM: whether the predicted noise follows from the clipped sample
 * @param order of LMS: steps that count
 * @param churn of Euler: noise added before steps, spread over the run
 * @param churnFrom lowest noise level at which it is added
 * @param churnTo highest noise level at which it is added
 * @param churnScale factor on that noise
 */
public record StepOptions(
        double eta,
        boolean clippedOutput,
        int order,
        double churn,
        double churnFrom,
        double churnTo,
        double churnScale) {
    public static final StepOptions DEFAULT = new StepOptions(0, false, 4, 0, 0, Double.POSITIVE_INFINITY, 1);

    public StepOptions {
        Check.between(0, 1, eta, "eta");
        Check.between(1, 4, order, "order");
        Check.between(0, Double.MAX_VALUE, churn, "s_churn");
    }

    public StepOptions withEta(double value) {
        return new StepOptions(value, clippedOutput, order, churn, churnFrom, churnTo, churnScale);
    }
}
