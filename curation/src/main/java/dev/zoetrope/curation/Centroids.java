package dev.zoetrope.curation;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;

/** The middles of clusters, float32 {@code [cluster, width]}, not necessarily of length 1. Close frees their tensor. */
public final class Centroids implements AutoCloseable {
    /** Numbers of one block of distances. */
    private static final int BLOCK = 1 << 22;

    private final Embeddings values;
    private final double[] squares;
    private final Tensor tensor;
    private double largest;

    public Centroids(Embeddings values) {
        if (values.rows() == 0) {
            throw new UserError("centroids: there are none; at least one is needed");
        }
        this.values = values;
        this.squares = new double[values.rows()];
        for (int c = 0; c < squares.length; c++) {
            squares[c] = values.dot(c, values, c);
            largest = Math.max(largest, squares[c]);
        }
        this.tensor = Scope.detach(values.tensor());
    }

    /** Reads a file that {@link #write} wrote, or any array of rows. */
    public static Centroids read(Path file) {
        try (Npy npy = Npy.open(file)) {
            return new Centroids(Embeddings.of(npy.nextFloats(Integer.MAX_VALUE), npy.columns()));
        }
    }

    /** As a NumPy array of float32. */
    public void write(Path file) {
        AtomicFile.write(file, out -> {
            out.write(Npy.headerOf(Float.BYTES, count(), width()));
            for (int c = 0; c < count(); c++) {
                out.write(Npy.bytesOf(values.row(c)));
            }
        });
    }

    public int count() {
        return values.rows();
    }

    public int width() {
        return values.width();
    }

    public Embeddings values() {
        return values;
    }

    /** The nearest centroid of each row by Euclidean distance; of equally near ones the lowest number. */
    public int[] nearest(Embeddings rows) {
        fits(rows);
        int[] r = new int[rows.rows()];
        int together = Math.max(1, BLOCK / count());
        for (int first = 0; first < r.length; first += together) {
            int n = Math.min(together, r.length - first);
            Embeddings block = n == r.length ? rows : rows.slice(first, n);
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open()) {
                float[] products =
                        Functional.linear(block.tensor(), tensor, null).toFloats();
                for (int i = 0; i < n; i++) {
                    r[first + i] = nearest(block, i, products);
                }
            }
        }
        return r;
    }

    /** Float32 finds those that may be nearest, float64 decides between them where there are several. */
    private int nearest(Embeddings block, int row, float[] products) {
        int at = row * count();
        int best = 0;
        double least = Double.POSITIVE_INFINITY;
        double second = Double.POSITIVE_INFINITY;
        for (int c = 0; c < squares.length; c++) {
            double d = squares[c] - 2 * (double) products[at + c];
            if (d < least) {
                second = least;
                least = d;
                best = c;
            } else if (d < second) {
                second = d;
            }
        }
        double room = Embeddings.ROUNDING * (block.dot(row, block, row) + largest);
        if (second - least > room) {
            return best;
        }
        double exact = Double.POSITIVE_INFINITY;
        for (int c = 0; c < squares.length; c++) {
            if (squares[c] - 2 * (double) products[at + c] <= least + room) {
                double d = squaredDistance(block, row, c);
                if (d < exact) {
                    exact = d;
                    best = c;
                }
            }
        }
        return best;
    }

    public double squaredDistance(Embeddings rows, int row, int cluster) {
        return rows.squaredDistance(row, values, cluster);
    }

    public double distance(Embeddings rows, int row, int cluster) {
        return Math.sqrt(squaredDistance(rows, row, cluster));
    }

    /** The cosine of a row with a centroid; 0 with a centroid of zeros. */
    public double cosine(Embeddings rows, int row, int cluster) {
        double c = rows.cosine(row, values, cluster);
        return Double.isNaN(c) ? 0 : c;
    }

    /** The sum over rows of the squared distance to the nearest centroid. */
    public double inertia(Embeddings rows) {
        int[] nearest = nearest(rows);
        double sum = 0;
        for (int i = 0; i < nearest.length; i++) {
            sum += squaredDistance(rows, i, nearest[i]);
        }
        return sum;
    }

    private void fits(Embeddings rows) {
        if (rows.width() != width()) {
            throw new UserError("embeddings of " + rows.width() + " numbers do not fit centroids of " + width());
        }
    }

    @Override
    public void close() {
        tensor.close();
    }
}
