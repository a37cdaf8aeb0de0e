package dev.zoetrope.training.video;

import dev.zoetrope.media.Image;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * What can be measured of a clip without knowing what it should show. The first two are those of VBench
 * (arXiv:2311.17982) in whatever feature space is at hand; the others are read from the pixels, in parts of the range of
 * a colour channel.
 *
 * @param consistency mean over the frames after the first of half the cosine to the first and half that to the one before;
 *     1 for a still picture
 * @param firstToLast cosine of the last frame to the first
 * @param jerk mean distance of a frame from the mean of its neighbours: what no steady motion explains
 * @param flicker mean size of the second difference of the frame's brightness: pumping light
 * @param drift mean distance of the last frame's border colour from the first's
 */
public record Steadiness(double consistency, double firstToLast, double jerk, double flicker, double drift) {
    /**
     * @param frames at least one, of one size
     * @param features {@code [T, F]} of the same frames
     */
    public static Steadiness of(List<Image> frames, Tensor features) {
        float[][] f = rows(features);
        double sum = 0;
        for (int k = 1; k < f.length; k++) {
            sum += (cosine(f[k], f[0]) + cosine(f[k], f[k - 1])) / 2;
        }
        int last = f.length - 1;
        double[] light = frames.stream().mapToDouble(Steadiness::brightness).toArray();
        double jerk = 0;
        double flicker = 0;
        for (int k = 1; k < last; k++) {
            jerk += residual(frames.get(k - 1), frames.get(k), frames.get(k + 1));
            flicker += Math.abs(light[k] - (light[k - 1] + light[k + 1]) / 2);
        }
        int inner = Math.max(1, last - 1);
        return new Steadiness(
                last == 0 ? 1 : sum / last,
                cosine(f[last], f[0]),
                jerk / inner,
                flicker / inner,
                distance(borderMedian(frames.get(0)), borderMedian(frames.get(last))));
    }

    private static float[][] rows(Tensor t) {
        int width = (int) t.size(1);
        float[] all = t.toFloats();
        float[][] r = new float[(int) t.size(0)][];
        for (int i = 0; i < r.length; i++) {
            r[i] = Arrays.copyOfRange(all, i * width, (i + 1) * width);
        }
        return r;
    }

    static double cosine(float[] a, float[] b) {
        double ab = 0;
        double aa = 1e-12;
        double bb = 1e-12;
        for (int i = 0; i < a.length; i++) {
            ab += a[i] * b[i];
            aa += a[i] * a[i];
            bb += b[i] * b[i];
        }
        return ab / Math.sqrt(aa * bb);
    }

    private static double brightness(Image image) {
        long sum = 0;
        for (byte b : image.rgb()) {
            sum += b & 255;
        }
        return sum / 255. / image.rgb().length;
    }

    private static double residual(Image before, Image now, Image after) {
        byte[] a = before.rgb();
        byte[] b = now.rgb();
        byte[] c = after.rgb();
        long sum = 0;
        for (int i = 0; i < b.length; i++) {
            sum += Math.abs(2 * (b[i] & 255) - (a[i] & 255) - (c[i] & 255));
        }
        return sum / 510. / b.length;
    }

    /** Median colour of the outermost pixels, 0..1 a channel. */
    static double[] borderMedian(Image image) {
        int w = image.width();
        int h = image.height();
        double[] median = new double[3];
        int[] values = new int[2 * (w + h)];
        for (int c = 0; c < 3; c++) {
            int n = 0;
            for (int x = 0; x < w; x++) {
                values[n++] = image.rgb()[x * 3 + c] & 255;
                values[n++] = image.rgb()[((h - 1) * w + x) * 3 + c] & 255;
            }
            for (int y = 0; y < h; y++) {
                values[n++] = image.rgb()[y * w * 3 + c] & 255;
                values[n++] = image.rgb()[(y * w + w - 1) * 3 + c] & 255;
            }
            Arrays.sort(values);
            median[c] = values[n / 2] / 255.;
        }
        return median;
    }

    static double distance(double[] a, double[] b) {
        return (Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]) + Math.abs(a[2] - b[2])) / 3;
    }
}
