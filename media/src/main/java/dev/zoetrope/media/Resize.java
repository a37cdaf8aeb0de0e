package dev.zoetrope.media;

import java.util.Arrays;

/**
 * Resizing that equals Pillow 13's {@code Image.resize} to the last bit: separable, antialiased when shrinking, 22-bit fixed
 * point, rounded to 8 bits after each pass. The published accuracy of most models was measured behind exactly this.
 */
public final class Resize {

    private static final int FRACTION_BITS = 22;

    private Resize() {}

    /** The picture at another size; the same object if the size is its own. */
    public static Image to(Image image, int width, int height, Filter filter) {
        if (width < 1 || height < 1) {
            throw new IllegalArgumentException("resize: to " + width + "x" + height + ": both must be at least 1");
        }
        if (width == image.width() && height == image.height()) {
            return image;
        }
        if (filter == Filter.NEAREST) {
            return nearest(image, width, height);
        }
        // The cheaper pass first, as Pillow has it since version 12; the order shows in the rounding.
        int fewerRows = image.height() - height;
        int fewerColumns = image.width() - width;
        boolean rowsFirst = fewerRows > 0 && fewerRows > 2L * fewerColumns;
        return rowsFirst
                ? columns(rows(image, height, filter), width, filter)
                : rows(columns(image, width, filter), height, filter);
    }

    /** The picture enlarged by a whole factor. */
    public static Image by(Image image, int factor, Filter filter) {
        return to(image, Math.multiplyExact(image.width(), factor), Math.multiplyExact(image.height(), factor), filter);
    }

    private static Image nearest(Image image, int width, int height) {
        int[] fromX = nearestPositions(image.width(), width);
        int[] fromY = nearestPositions(image.height(), height);
        byte[] in = image.rgb();
        byte[] out = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        int at = 0;
        for (int y : fromY) {
            int row = 3 * y * image.width();
            for (int x : fromX) {
                System.arraycopy(in, row + 3 * x, out, at, 3);
                at += 3;
            }
        }
        return new Image(width, height, out);
    }

    private static int[] nearestPositions(int from, int to) {
        int[] positions = new int[to];
        double step = (double) from / to;
        double position = step * 0.5;
        for (int i = 0; i < to; i++) {
            positions[i] = Math.min(from - 1, (int) position);
            position += step; // a running sum and no product: at exact boundaries Pillow's rounding decides
        }
        return positions;
    }

    /** For each output position the first input position that it reads, and the weights from there on. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Taps(int[] first, int[][] weights) {

        static Taps of(int from, int to, Filter filter) {
            double scale = (double) from / to;
            double filterScale = Math.max(scale, 1);
            double support = filter.support() * filterScale;
            double inverse = 1 / filterScale;
            int[] first = new int[to];
            int[][] weights = new int[to][];
            for (int i = 0; i < to; i++) {
                double centre = (i + 0.5) * scale;
                int low = Math.max(0, (int) (centre - support + 0.5));
                int high = Math.min(from, (int) (centre + support + 0.5));
                double[] heights = new double[high - low];
                double sum = 0;
                for (int k = 0; k < heights.length; k++) {
                    heights[k] = filter.at((k + low - centre + 0.5) * inverse);
                    sum += heights[k];
                }
                first[i] = low;
                weights[i] = fixedPoint(heights, sum);
            }
            return new Taps(first, weights);
        }

        private static int[] fixedPoint(double[] heights, double sum) {
            int[] weights = new int[heights.length];
            for (int k = 0; k < heights.length; k++) {
                double weight = (sum == 0 ? heights[k] : heights[k] / sum) * (1 << FRACTION_BITS);
                weights[k] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
            }
            return weights;
        }
    }

    /** The horizontal pass. */
    private static Image columns(Image image, int width, Filter filter) {
        if (width == image.width()) {
            return image;
        }
        Taps taps = Taps.of(image.width(), width, filter);
        byte[] in = image.rgb();
        byte[] out = new byte[Math.multiplyExact(3, Math.multiplyExact(width, image.height()))];
        int at = 0;
        for (int y = 0; y < image.height(); y++) {
            int row = 3 * y * image.width();
            for (int x = 0; x < width; x++) {
                int red = 1 << (FRACTION_BITS - 1);
                int green = red;
                int blue = red;
                int from = row + 3 * taps.first[x];
                for (int weight : taps.weights[x]) {
                    red += weight * (in[from++] & 0xff);
                    green += weight * (in[from++] & 0xff);
                    blue += weight * (in[from++] & 0xff);
                }
                out[at++] = level(red);
                out[at++] = level(green);
                out[at++] = level(blue);
            }
        }
        return new Image(width, image.height(), out);
    }

    /** The vertical pass. */
    private static Image rows(Image image, int height, Filter filter) {
        if (height == image.height()) {
            return image;
        }
        Taps taps = Taps.of(image.height(), height, filter);
        byte[] in = image.rgb();
        int stride = 3 * image.width();
        byte[] out = new byte[Math.multiplyExact(stride, height)];
        int[] sums = new int[stride];
        for (int y = 0; y < height; y++) {
            Arrays.fill(sums, 1 << (FRACTION_BITS - 1));
            int from = taps.first[y] * stride;
            for (int weight : taps.weights[y]) {
                for (int i = 0; i < stride; i++) {
                    sums[i] += weight * (in[from++] & 0xff);
                }
            }
            for (int i = 0; i < stride; i++) {
                out[y * stride + i] = level(sums[i]);
            }
        }
        return new Image(image.width(), height, out);
    }

    private static byte level(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> FRACTION_BITS));
    }
}
