package dev.zoetrope.curation.spark;

import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.CoreSet.Rejection;
import dev.zoetrope.curation.Embeddings;
import java.io.Serializable;
import org.jspecify.annotations.Nullable;

/**
 * Some rows as they were read, one after the other.
 *
 * @param positions where each stands in the input; their order is the input's
 * @param images the bytes of the pictures' embeddings
 * @param imageBytes of one number
 * @param texts the bytes of the texts' embeddings; null where similarities say how texts fit
 * @param textBytes of one number
 * @param similarities null where texts have embeddings
 */
@SuppressWarnings("ArrayRecordComponent")
record Block(
        long[] positions,
        long[] ids,
        int width,
        byte[] images,
        int imageBytes,
        byte @Nullable [] texts,
        int textBytes,
        double @Nullable [] similarities)
        implements Serializable {
    /** Rows that are read and multiplied together. */
    static final int ROWS = 4096;

    int rows() {
        return positions.length;
    }

    Embeddings imageRows() {
        return Embeddings.of(Npy.floats(images, imageBytes), width);
    }

    /** The bytes of one row's picture. */
    byte[] image(int row) {
        byte[] r = new byte[width * imageBytes];
        System.arraycopy(images, row * r.length, r, 0, r.length);
        return r;
    }

    /** What is wrong with each row, and how its picture and text fit. */
    Judged judge(Embeddings imageRows) {
        Embeddings textRows = texts == null ? null : Embeddings.of(Npy.floats(texts, textBytes), width);
        Rejection[] why = new Rejection[rows()];
        double[] fit = new double[rows()];
        for (int i = 0; i < why.length; i++) {
            Embeddings.Flaw text;
            if (textRows != null) {
                text = textRows.flaw(i);
            } else {
                text = similarities != null && Double.isFinite(similarities[i])
                        ? Embeddings.Flaw.NONE
                        : Embeddings.Flaw.NOT_FINITE;
            }
            why[i] = Rejection.of(imageRows.flaw(i), text);
            if (why[i] == null) {
                fit[i] = textRows != null ? imageRows.cosine(i, textRows, i) : similarities[i];
            }
        }
        return new Judged(why, fit);
    }

    /**
     * @param why null for a row that is fine
     * @param similarity 0 for one that is not
     */
    record Judged(@Nullable Rejection[] why, double[] similarity) {}
}
