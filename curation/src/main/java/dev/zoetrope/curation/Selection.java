package dev.zoetrope.curation;

import dev.zoetrope.checkpoint.Check;
import java.io.Serializable;

/**
 * What a core set is chosen by, after Bunny (arXiv:2402.11530): near-duplicates inside clusters, then a band of the
 * similarity of picture and text, then a band of the likeness to the centroid, then a sample.
 *
 * @param threshold two rows of a cluster are near-duplicates when their cosine is strictly greater
 * @param keep which of a component of near-duplicates stays
 * @param similarity the band of picture and text, best fit first
 * @param centroid the band of the cosine to the centroid, nearest first
 * @param sample how many rows are drawn at last; all where there are no more
 * @param seed of the sample
 */
public record Selection(double threshold, Keep keep, Band similarity, Band centroid, long sample, long seed)
        implements Serializable {
    private static final int SAMPLING = 2;

    /** What Bunny's core set of LAION-2B was chosen by, on CLIP ViT-L/14 and 100,000 clusters. */
    public static final Selection BUNNY =
            new Selection(0.86, Keep.MIDDLE, new Band(40, 60), new Band(15, 35), 2_000_000, 1);

    public Selection {
        Check.between(-1, 1, threshold, "dedup-threshold");
        Check.positive(sample, "sample");
    }

    /** Rows are sampled by the lowest of these numbers, whatever order they come in; equal ones by the lower id. */
    public long ticket(long id) {
        return Draw.bits(seed, SAMPLING, id);
    }
}
