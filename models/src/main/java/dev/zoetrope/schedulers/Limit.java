package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;

/**
 * What keeps a predicted x_0 within the range of the data.
 *
 * @param range x_0 is cut to plus and minus this; infinite for no cut
 * @param threshold whether each sample is instead cut at, and divided by, a quantile of its magnitudes (dynamic
 *     thresholding, arXiv:2205.11487)
 * @param ratio that quantile
 * @param most the quantile counts as at most this, and at least 1
 */
public record Limit(double range, boolean threshold, double ratio, double most) {
    public Limit {
        Check.positive(most, "sample_max_value");
        Check.between(0, 1, ratio, "dynamic_thresholding_ratio");
    }

    static Limit of(Json j, boolean clipByDefault) {
        double range = j.get("clip_sample_range", 1.0);
        Check.positive(range, "clip_sample_range");
        return new Limit(
                j.get("clip_sample", clipByDefault) ? range : Double.POSITIVE_INFINITY,
                j.get("thresholding", false),
                j.get("dynamic_thresholding_ratio", 0.995),
                j.get("sample_max_value", 1.0));
    }

    public Tensor apply(Tensor clean) {
        if (threshold) {
            return thresholded(clean);
        }
        return Double.isInfinite(range) ? clean : clean.clamp(-range, range);
    }

    private Tensor thresholded(Tensor clean) {
        try (Scope s = Scope.open()) {
            Tensor sorted = clean.flatten(1).abs().sort(1, false).values(); // [B, N]
            double place = ratio * (sorted.size(1) - 1);
            long low = (long) Math.floor(place);
            Tensor a = sorted.select(1, low);
            Tensor b = sorted.select(1, (long) Math.ceil(place));
            Tensor quantile = a.add(b.sub(a).mul(place - low)).clamp(1, most); // [B]
            long[] perSample = new long[clean.dim()];
            Arrays.fill(perSample, 1);
            perSample[0] = -1;
            Tensor q = quantile.reshape(perSample);
            return s.keep(clean.minimum(q).maximum(q.neg()).div(q));
        }
    }
}
