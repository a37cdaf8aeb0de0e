package dev.zoetrope.curation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Joins rows whose cosine is strictly greater than a threshold. Rows are multiplied block by block, so that memory grows
 * with the rows and not with their pairs.
 *
 * @param threshold a cosine
 */
public record NearDuplicates(double threshold) {
    private static final int BLOCK = 2048;

    public NearDuplicates {
        Check.between(-1, 1, threshold, "dedup-threshold");
    }

    /** Called for an edge that joined two components that were apart. */
    @FunctionalInterface
    public interface Joined {
        void edge(int a, int b);
    }

    /**
     * Adds every edge between rows.
     *
     * @param unit rows of length 1
     */
    public void join(Embeddings unit, Components components, Joined joined) {
        for (int i = 0; i < unit.rows(); i += BLOCK) {
            Embeddings a = block(unit, i);
            join(a, i, a, i, components, joined);
            for (int j = i + BLOCK; j < unit.rows(); j += BLOCK) {
                join(a, i, block(unit, j), j, components, joined);
            }
        }
    }

    /**
     * Adds every edge between two sets of rows, none within a set.
     *
     * @param second its rows' nodes follow those of the first
     */
    public void joinAcross(Embeddings first, Embeddings second, Components components, Joined joined) {
        for (int i = 0; i < first.rows(); i += BLOCK) {
            Embeddings a = block(first, i);
            for (int j = 0; j < second.rows(); j += BLOCK) {
                join(a, i, block(second, j), first.rows() + j, components, joined);
            }
        }
    }

    private static Embeddings block(Embeddings all, int first) {
        return first == 0 && all.rows() <= BLOCK ? all : all.slice(first, Math.min(BLOCK, all.rows() - first));
    }

    /** Float32 finds the pairs that may be near enough, float64 decides. */
    private void join(Embeddings a, int atA, Embeddings b, int atB, Components components, Joined joined) {
        long[] pairs;
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor near = Functional.linear(a.tensor(), b.tensor(), null).gt(threshold - Embeddings.ROUNDING);
            pairs = near.nonzero().toLongs(); // [pair, 2]
        }
        for (int p = 0; p < pairs.length; p += 2) {
            int i = (int) pairs[p];
            int j = (int) pairs[p + 1];
            if (atA + i < atB + j
                    && components.find(atA + i) != components.find(atB + j)
                    && a.dot(i, b, j) > threshold) {
                components.join(atA + i, atB + j);
                joined.edge(atA + i, atB + j);
            }
        }
    }
}
