package dev.zoetrope.training.evaluation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;

/**
 * How well pictures and texts find each other by cosine.
 *
 * @param imageToText for each k, the share of pictures with any of their texts among the first k
 * @param textToImage for each k, the share of texts whose picture is among the first k
 * @param medianRank of the picture of a text, from 1; of an even number the upper one
 */
@SuppressWarnings("ArrayRecordComponent")
public record Retrieval(double[] imageToText, double[] textToImage, int medianRank) {

    /**
     * @param images {@code [image, D]}, of any length
     * @param texts {@code [text, D]}
     * @param imageOfText {@code [text]} INT64, which picture a text belongs to
     * @param k how many are looked at, such as 1, 5, 10
     */
    public static Retrieval of(Tensor images, Tensor texts, Tensor imageOfText, int... k) {
        Check.equal(imageOfText.size(0), texts.size(0), "number of text_image", "number of texts");
        long[] owner = imageOfText.toLongs();
        return of(images, texts, (image, text) -> owner[text] == image, k);
    }

    /** Which picture and text belong together. */
    @FunctionalInterface
    public interface Pairs {
        boolean fit(int image, int text);
    }

    /** For pairs that are not one to one. */
    public static Retrieval of(Tensor images, Tensor texts, Pairs pairs, int... k) {
        int rows = (int) images.size(0);
        int columns = (int) texts.size(0);
        Check.positive(Math.min(rows, columns), "number of images and texts");
        float[] cosine;
        try (Scope s = Scope.open()) {
            cosine = unit(images).matmul(unit(texts).transpose(0, 1)).toFloats(); // [image, text]
        }
        int[] imageRanks = new int[rows];
        for (int i = 0; i < rows; i++) {
            int image = i;
            imageRanks[i] = rank(columns, t -> cosine[image * columns + t], t -> pairs.fit(image, t));
        }
        int[] textRanks = new int[columns];
        for (int t = 0; t < columns; t++) {
            int text = t;
            textRanks[t] = rank(rows, i -> cosine[i * columns + text], i -> pairs.fit(i, text));
        }
        int[] sorted = textRanks.clone();
        Arrays.sort(sorted);
        return new Retrieval(shares(imageRanks, k), shares(textRanks, k), sorted[columns / 2]);
    }

    @FunctionalInterface
    private interface Score {
        float of(int candidate);
    }

    @FunctionalInterface
    private interface Fits {
        boolean is(int candidate);
    }

    /** Place, from 1, of the best candidate that fits; of equal scores the earlier candidate comes first. */
    private static int rank(int candidates, Score score, Fits fits) {
        int best = -1;
        for (int c = 0; c < candidates; c++) {
            if (fits.is(c) && (best < 0 || score.of(c) > score.of(best))) {
                best = c;
            }
        }
        if (best < 0) {
            return Integer.MAX_VALUE;
        }
        int before = 0;
        for (int c = 0; c < candidates; c++) {
            if (score.of(c) > score.of(best) || (score.of(c) == score.of(best) && c < best)) {
                before++;
            }
        }
        return before + 1;
    }

    private static double[] shares(int[] ranks, int... k) {
        return Arrays.stream(k)
                .mapToDouble(
                        n -> (double) Arrays.stream(ranks).filter(r -> r <= n).count() / ranks.length)
                .toArray();
    }

    private static Tensor unit(Tensor x) {
        return x.div(x.norm(true, -1).clamp(1e-12, Double.POSITIVE_INFINITY));
    }
}
