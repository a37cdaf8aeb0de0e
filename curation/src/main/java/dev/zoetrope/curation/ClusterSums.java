package dev.zoetrope.curation;

import java.io.Serializable;

/**
 * Sums of the rows of each cluster, as whole numbers: unlike sums of floats they do not depend on the order of their
 * terms, so that k-means gives the same centroids however its rows are spread.
 */
public final class ClusterSums implements Serializable {
    private static final long serialVersionUID = 1L;

    /** Bits of a sum that may be used; one is the sign, one is room. */
    private static final int BITS = 62;

    private final int width;
    private final double scale;
    private final long[] sums;
    private final long[] counts;
    private final double distanceScale;
    private long distances;

    private ClusterSums(int clusters, int width, double scale, double distanceScale) {
        this.width = width;
        this.scale = scale;
        this.distanceScale = distanceScale;
        this.sums = new long[Math.multiplyExact(clusters, width)];
        this.counts = new long[clusters];
    }

    /**
     * @param rows the most that are added, over all sums that are added up
     * @param largest the largest absolute value of a number in them
     */
    public static ClusterSums of(int clusters, int width, long rows, double largest) {
        int bits = BITS - (64 - Long.numberOfLeadingZeros(Math.max(1, rows)));
        double unit = Math.scalb(1.0, Math.getExponent(Math.max(largest, Double.MIN_NORMAL)) + 1);
        double furthest = 4.0 * width * unit * unit; // no squared distance is longer
        return new ClusterSums(clusters, width, Math.scalb(1.0, bits) / unit, Math.scalb(1.0, bits) / furthest);
    }

    public void add(Embeddings rows, Centroids centroids) {
        int[] nearest = centroids.nearest(rows);
        for (int i = 0; i < nearest.length; i++) {
            int at = nearest[i] * width;
            for (int d = 0; d < width; d++) {
                sums[at + d] += Math.round(rows.at(i, d) * scale);
            }
            counts[nearest[i]]++;
            distances += Math.round(centroids.squaredDistance(rows, i, nearest[i]) * distanceScale);
        }
    }

    /** Adds the sums of other rows; both were made for the same clusters, rows and largest value. */
    public ClusterSums add(ClusterSums other) {
        for (int i = 0; i < sums.length; i++) {
            sums[i] += other.sums[i];
        }
        for (int c = 0; c < counts.length; c++) {
            counts[c] += other.counts[c];
        }
        distances += other.distances;
        return this;
    }

    /** The sum of the squared distances to the centroids that the rows were added for. */
    public double inertia() {
        return distances / distanceScale;
    }

    /** Rows of a cluster. */
    public long count(int cluster) {
        return counts[cluster];
    }

    /** The means; a cluster without rows keeps its centroid. */
    public Centroids means(Centroids before) {
        float[] r = new float[sums.length];
        for (int c = 0; c < counts.length; c++) {
            for (int d = 0; d < width; d++) {
                int i = c * width + d;
                r[i] = counts[c] == 0 ? before.values().at(c, d) : (float) (sums[i] / scale / counts[c]);
            }
        }
        return new Centroids(Embeddings.of(r, width));
    }
}
