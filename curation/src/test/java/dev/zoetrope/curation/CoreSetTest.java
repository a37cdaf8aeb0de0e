package dev.zoetrope.curation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class CoreSetTest {
    private static final int WIDTH = 32;

    /** Rows of even directions. In 32 axes two of a few hundred are never as near as a cosine of 0.9. */
    static Embeddings random(long seed, int rows) {
        float[] v = new float[rows * WIDTH];
        for (int i = 0; i < v.length; i++) { // Box and Muller's normal numbers
            double u = 1 - Draw.unit(seed, 100, i);
            v[i] = (float) (Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * Draw.unit(seed, 101, i)));
        }
        return Embeddings.of(v, WIDTH).unit();
    }

    /** Everything in one cluster, nothing cut away behind the first step. */
    private static CoreSet deduplicate(Embeddings rows, long[] ids, double threshold) {
        float[] middle = new float[WIDTH];
        middle[0] = 1;
        try (Centroids one = new Centroids(Embeddings.of(middle, WIDTH))) {
            return CoreSet.of(
                    ids,
                    rows,
                    new double[ids.length],
                    one,
                    new Selection(threshold, Keep.FIRST, Band.ALL, Band.ALL, ids.length, 1));
        }
    }

    @Property(tries = 10)
    void plantedNearDuplicatesAreAllFoundAndNothingElse(@ForAll @LongRange(min = 0, max = 1_000_000) long seed) {
        int originals = 200;
        Embeddings base = random(seed, originals);
        Embeddings noise = random(seed + 1, 2 * originals);
        float[] all = Arrays.copyOf(base.values(), 3 * base.values().length);
        for (int i = 0; i < 2 * originals * WIDTH; i++) { // two copies of each, at a cosine of about 0.995
            all[base.values().length + i] = base.values()[i % base.values().length] + 0.1f * noise.values()[i];
        }
        long[] ids = IntStream.range(0, 3 * originals).asLongStream().toArray();
        CoreSet set = deduplicate(Embeddings.of(all, WIDTH), ids, 0.95);
        assertThat(set.component())
                .containsExactly(Arrays.stream(ids).map(i -> i % originals).toArray());
        assertThat(set.deduplicated()).hasSize(originals);
    }

    @Test
    void aChainIsOneComponentAlsoAcrossBlocks() {
        int links = 5000; // more than two blocks; neighbours are near, the ends are far apart
        float[] v = new float[links * WIDTH];
        for (int i = 0; i < links; i++) {
            double angle = 2 * Math.PI * i / links;
            v[i * WIDTH] = (float) Math.cos(angle);
            v[i * WIDTH + 1] = (float) Math.sin(angle);
        }
        long[] ids = IntStream.range(0, links).mapToLong(i -> links - i).toArray();
        CoreSet set = deduplicate(Embeddings.of(v, WIDTH), ids, Math.cos(2.5 * Math.PI / links));
        assertThat(set.deduplicated()).containsExactly(1);
    }

    @Test
    void rowsThatCannotBeComparedAreSetAside() {
        Embeddings rows = random(3, 5);
        float[] v = rows.values();
        v[0] = Float.NaN;
        Arrays.fill(v, WIDTH, 2 * WIDTH, 0);
        CoreSet set = deduplicate(Embeddings.of(v, WIDTH), new long[] {7, 8, 7, 7, 9}, 0.9);
        assertThat(set.rejected())
                .containsEntry(0, CoreSet.Rejection.NOT_FINITE)
                .containsEntry(1, CoreSet.Rejection.ZERO)
                .containsEntry(3, CoreSet.Rejection.DUPLICATE_ID)
                .hasSize(3);
        assertThat(set.deduplicated()).containsExactly(7, 9);
    }

    @Test
    void sumsOfClustersDoNotDependOnTheOrder() {
        Embeddings rows = random(5, 300);
        try (Centroids c = new Centroids(random(6, 4))) {
            ClusterSums whole = ClusterSums.of(4, WIDTH, 300, 1);
            whole.add(rows, c);
            ClusterSums parts = ClusterSums.of(4, WIDTH, 300, 1);
            for (int first : new int[] {200, 0, 100}) {
                ClusterSums part = ClusterSums.of(4, WIDTH, 300, 1);
                part.add(rows.slice(first, 100), c);
                parts.add(part);
            }
            try (Centroids a = whole.means(c);
                    Centroids b = parts.means(c)) {
                assertThat(b.values().values()).isEqualTo(a.values().values());
            }
            assertThat(parts.inertia()).isCloseTo(whole.inertia(), within(1e-9));
        }
    }

    @Test
    void mistakesInTheCallAreNamed() {
        assertThatThrownBy(() -> Band.of("60-40"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("the lower one first");
        assertThatThrownBy(() -> new Selection(1.5, Keep.FIRST, Band.ALL, Band.ALL, 1, 1))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("dedup-threshold 1.5 is not between -1.0 and 1.0");
        assertThatThrownBy(() -> KMeans.of(10, 1).fit(random(1, 9)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("clusters 10 are more than the 9 rows");
        try (Centroids c = new Centroids(random(1, 2))) {
            assertThatThrownBy(() -> c.nearest(Embeddings.of(new float[8], 8)))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("embeddings of 8 numbers do not fit centroids of 32");
        }
    }
}
