package dev.zoetrope.training.evaluation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;

/**
 * How well each pixel's class was found, counted over a whole set of pictures.
 *
 * @param intersection pixels of each class that were found to be it
 * @param union pixels that are of the class, or were found to be
 * @param right pixels whose class was found
 * @param pixels that count
 */
@SuppressWarnings("ArrayRecordComponent")
public record Segmentation(long[] intersection, long[] union, long right, long pixels) {

    /**
     * @param prediction, target {@code [image, H, W]} INT64, classes from 0
     * @param ignore pixels of this target do not count at all
     */
    public static Segmentation of(Tensor prediction, Tensor target, int classes, long ignore) {
        Check.shape(prediction.shape(), "prediction", target.shape());
        long[] found = prediction.toLongs();
        long[] truth = target.toLongs();
        long[] both = new long[classes];
        long[] either = new long[classes];
        long right = 0;
        long pixels = 0;
        for (int i = 0; i < truth.length; i++) {
            if (truth[i] == ignore) {
                continue;
            }
            int t = known(truth[i], classes, "target");
            int f = known(found[i], classes, "prediction");
            pixels++;
            either[t]++;
            if (t == f) {
                both[t]++;
                right++;
            } else {
                either[f]++;
            }
        }
        return new Segmentation(both, either, right, pixels);
    }

    private static int known(long value, int classes, String what) {
        if (value < 0 || value >= classes) {
            throw new UserError(what + " has class " + value + ", known are 0 to " + (classes - 1));
        }
        return (int) value;
    }

    /** Mean over the classes that occur in either of what both have of what either has; NaN where no pixel counts. */
    public double meanIntersectionOverUnion() {
        double sum = 0;
        for (int c = 0; c < union.length; c++) {
            sum += union[c] == 0 ? 0 : (double) intersection[c] / union[c];
        }
        return sum / Arrays.stream(union).filter(u -> u > 0).count();
    }

    public double pixelAccuracy() {
        return (double) right / pixels;
    }
}
