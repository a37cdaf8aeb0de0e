package dev.zoetrope.curation;

import dev.zoetrope.checkpoint.Check;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How the clusters of a core set are found.
 *
 * @param clusters how many
 * @param rowsPerCluster k-means looks at no more rows than this for each cluster, drawn evenly; all rows are then assigned
 * @param iterations the most of Lloyd's
 * @param seed of what is drawn
 * @param given centroids that are there already, as .npy; null to find them
 */
public record Clustering(int clusters, int rowsPerCluster, int iterations, long seed, @Nullable Path given) {
    public Clustering {
        Check.positive(clusters, "clusters");
        Check.positive(rowsPerCluster, "rows-per-cluster");
        Check.positive(iterations, "iterations");
    }

    /** 256 rows a cluster tell a mean to within a sixteenth of its spread; 20 iterations. */
    public static Clustering of(int clusters, long seed) {
        return new Clustering(clusters, 256, 20, seed, null);
    }
}
