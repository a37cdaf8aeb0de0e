package dev.zoetrope.curation;

import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;

/**
 * Vectors as rows, float32 {@code [row, width]}.
 *
 * <p>Products of many rows run as matrix products in float32, whose last bits depend on how the rows are cut into blocks.
 * They only find candidates; whatever is decided or reported comes from {@link #dot} and its kin, in float64 over one
 * pair of rows, so that it is the same however the rows are spread over blocks, processes and machines.
 */
public final class Embeddings {
    /** How far a float32 product of two unit vectors may be from the true one, with room to spare. */
    static final double ROUNDING = 1e-5;

    private final float[] values;
    private final int rows;
    private final int width;

    private Embeddings(float[] values, int width) {
        this.values = values;
        this.width = width;
        this.rows = width == 0 ? 0 : values.length / width;
    }

    /** The array is taken over, not copied. */
    public static Embeddings of(float[] values, int width) {
        if (width < 1 || values.length % width != 0) {
            throw new UserError("embeddings: " + values.length + " numbers are no rows of " + width);
        }
        return new Embeddings(values, width);
    }

    public int rows() {
        return rows;
    }

    public int width() {
        return width;
    }

    /** One number of a row. */
    public float at(int row, int column) {
        return values[row * width + column];
    }

    /** A copy of one row. */
    public float[] row(int row) {
        return Arrays.copyOfRange(values, row * width, (row + 1) * width);
    }

    /** Some of the rows, in this order. */
    public Embeddings rows(int... which) {
        float[] r = new float[which.length * width];
        for (int i = 0; i < which.length; i++) {
            System.arraycopy(values, which[i] * width, r, i * width, width);
        }
        return new Embeddings(r, width);
    }

    /** {@code count} rows from {@code first} on. */
    public Embeddings slice(int first, int count) {
        return new Embeddings(Arrays.copyOfRange(values, first * width, (first + count) * width), width);
    }

    /** The inner product of a row with one of another's, in float64. */
    public double dot(int row, Embeddings other, int otherRow) {
        float[] b = other.values;
        int i = row * width;
        int j = otherRow * width;
        double even = 0; // two sums: half the time of one, each addition waits for the one before
        double odd = 0;
        int d = 0;
        for (; d + 1 < width; d += 2) {
            even += (double) values[i + d] * b[j + d];
            odd += (double) values[i + d + 1] * b[j + d + 1];
        }
        if (d < width) {
            even += (double) values[i + d] * b[j + d];
        }
        return even + odd;
    }

    /** The Euclidean length of a row, in float64. */
    public double norm(int row) {
        return Math.sqrt(dot(row, this, row));
    }

    /** The squared Euclidean distance of a row to one of another's, in float64. */
    public double squaredDistance(int row, Embeddings other, int otherRow) {
        double sum = 0;
        for (int d = 0; d < width; d++) {
            double difference = (double) values[row * width + d] - other.values[otherRow * width + d];
            sum += difference * difference;
        }
        return sum;
    }

    /** The cosine of the angle between a row and one of another's, in float64. */
    public double cosine(int row, Embeddings other, int otherRow) {
        return dot(row, other, otherRow) / (norm(row) * other.norm(otherRow));
    }

    /** All rows at length 1; a row of zeros stays. */
    public Embeddings unit() {
        float[] r = new float[values.length];
        for (int row = 0; row < rows; row++) {
            double norm = norm(row);
            for (int d = row * width; d < (row + 1) * width; d++) {
                r[d] = norm == 0 ? 0 : (float) (values[d] / norm);
            }
        }
        return new Embeddings(r, width);
    }

    /** A copy with zeros in one row. */
    public Embeddings zeroed(int row) {
        float[] r = values.clone();
        Arrays.fill(r, row * width, (row + 1) * width, 0);
        return new Embeddings(r, width);
    }

    /** What makes a row unfit to be compared. */
    public enum Flaw {
        NONE,
        NOT_FINITE,
        ZERO
    }

    public Flaw flaw(int row) {
        boolean zero = true;
        for (int d = row * width; d < (row + 1) * width; d++) {
            if (!Float.isFinite(values[d])) {
                return Flaw.NOT_FINITE;
            }
            zero &= values[d] == 0;
        }
        return zero ? Flaw.ZERO : Flaw.NONE;
    }

    /** Inner products with all rows of another in float32, for finding candidates: {@code [row, other's row]}. */
    float[] products(Embeddings other) {
        try (Scope s = Scope.open()) {
            return Functional.linear(tensor(), other.tensor(), null).toFloats();
        }
    }

    /** Owned by the innermost scope, {@code [row, width]}. */
    public Tensor tensor() {
        return Tensor.of(values, rows, width);
    }

    float[] values() {
        return values;
    }
}
