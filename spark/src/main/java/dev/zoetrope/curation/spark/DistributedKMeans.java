package dev.zoetrope.curation.spark;

import dev.zoetrope.curation.Centroids;
import dev.zoetrope.curation.ClusterSums;
import dev.zoetrope.curation.Clustering;
import dev.zoetrope.curation.Draw;
import dev.zoetrope.curation.Embeddings;
import dev.zoetrope.curation.KMeans;
import dev.zoetrope.tensor.UserError;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;

/**
 * K-means over the rows of a cluster of machines: seeded by k-means|| (arXiv:1203.6402), then Lloyd's iterations. Every
 * sum is one of whole numbers and every draw is a function of the row's position, so that the centroids do not depend on
 * how the rows are spread, on lost executors or on repeated tasks.
 */
final class DistributedKMeans {
    private static final int SAMPLING = 3;
    private static final int FIRST = 4;
    private static final int ROUND = 5;
    private static final int CHOICE = 10;

    /** Rounds of k-means||, and how many candidates each adds for a cluster. */
    private static final int ROUNDS = 2;

    private static final int OVERSAMPLING = 2;

    /** With more clusters, choosing seeds among the candidates by distance would take longer than all iterations. */
    private static final int MOST_CHOSEN = 4000;

    /** Squared distances are added up as whole numbers of this fraction; up to 2^41 rows of at most 4 fit. */
    private static final double SCALE = 0x1p20;

    /** Unit rows with their positions. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Sample(long[] positions, int width, float[] unit) implements Serializable {
        Embeddings rows() {
            return Embeddings.of(unit, width);
        }
    }

    @SuppressWarnings("ArrayRecordComponent")
    private record Candidate(long position, float[] row) implements Serializable {}

    private final Clustering c;
    private final Consumer<String> progress;

    DistributedKMeans(Clustering c, Consumer<String> progress) {
        this.c = c;
        this.progress = progress;
    }

    Centroids fit(EmbeddingInput input) {
        double share = Math.min(1, (double) c.clusters() * c.rowsPerCluster() / input.rows());
        long seed = c.seed();
        JavaRDD<Sample> samples = input.blocks()
                .map(b -> sample(b, seed, share))
                .filter(s -> s.positions.length > 0)
                .persist(StorageLevel.MEMORY_AND_DISK());
        try {
            long rows = samples.map(s -> (long) s.positions.length).fold(0L, Long::sum);
            if (rows < c.clusters()) {
                throw new UserError("clusters " + c.clusters() + " are more than the " + rows
                        + " usable rows there are to find them in; ask for fewer");
            }
            progress.accept("k-means: seeds among " + rows + " rows");
            Centroids seeds = seeds(samples);
            int[] iteration = {0};
            return KMeans.refine(seeds, c.iterations(), from -> {
                        progress.accept("k-means: iteration " + ++iteration[0]);
                        return sums(samples, from, rows);
                    })
                    .centroids();
        } finally {
            samples.unpersist();
        }
    }

    private static Sample sample(Block b, long seed, double share) {
        Embeddings images = b.imageRows();
        int[] drawn = IntStream.range(0, b.rows())
                .filter(i -> share >= 1 || Draw.unit(seed, SAMPLING, b.positions()[i]) < share)
                .filter(i -> images.flaw(i) == Embeddings.Flaw.NONE)
                .toArray();
        Embeddings unit =
                drawn.length == 0 ? images.slice(0, 1) : images.rows(drawn).unit();
        return new Sample(
                Arrays.stream(drawn).mapToLong(i -> b.positions()[i]).toArray(), b.width(), floats(unit, drawn.length));
    }

    private static float[] floats(Embeddings rows, int count) {
        float[] r = new float[count * rows.width()];
        for (int i = 0; i < count; i++) {
            System.arraycopy(rows.row(i), 0, r, i * rows.width(), rows.width());
        }
        return r;
    }

    private static ClusterSums sums(JavaRDD<Sample> samples, Centroids from, long rows) {
        Broadcast<Sample> sent = send(samples, from.values());
        try {
            return samples.mapPartitions(in -> {
                        Workers.ready();
                        try (Centroids centroids = new Centroids(sent.value().rows())) {
                            ClusterSums s = ClusterSums.of(centroids.count(), centroids.width(), rows, 1);
                            in.forEachRemaining(sample -> s.add(sample.rows(), centroids));
                            return List.of(s).iterator();
                        }
                    })
                    .treeReduce(ClusterSums::add);
        } finally {
            sent.destroy();
        }
    }

    private static Broadcast<Sample> send(JavaRDD<Sample> samples, Embeddings rows) {
        return JavaSparkContext.fromSparkContext(samples.context())
                .broadcast(new Sample(new long[0], rows.width(), floats(rows, rows.rows())));
    }

    /** k-means||: each round adds rows drawn by their squared distance to those that are there. */
    private Centroids seeds(JavaRDD<Sample> samples) {
        long seed = c.seed();
        List<Candidate> candidates = new ArrayList<>();
        candidates.add(samples.map(s -> first(s, seed)).reduce((a, b) -> before(a, b, seed) ? a : b));
        for (int round = 0; round < ROUNDS; round++) {
            int purpose = ROUND + round;
            Broadcast<Sample> sent = send(samples, rows(candidates));
            try {
                JavaRDD<double[]> distances = samples.map(s -> distances(s, sent.value()));
                distances.persist(StorageLevel.MEMORY_AND_DISK());
                long total = distances
                        .map(d -> Arrays.stream(d)
                                .mapToLong(x -> Math.round(x * SCALE))
                                .sum())
                        .fold(0L, Long::sum);
                double rate = (double) OVERSAMPLING * c.clusters() / (total / SCALE);
                if (total > 0) {
                    samples
                            .zip(distances)
                            .flatMap(p ->
                                    drawn(p._1(), p._2(), rate, seed, purpose).iterator())
                            .collect()
                            .stream()
                            .sorted(Comparator.comparingLong(Candidate::position))
                            .forEach(candidates::add);
                }
                distances.unpersist();
            } finally {
                sent.destroy();
            }
        }
        if (candidates.size() < c.clusters()) { // few distinct rows: any others, which then are copies
            long[] known =
                    candidates.stream().mapToLong(Candidate::position).sorted().toArray();
            samples.flatMap(s -> all(s).iterator()).takeOrdered(c.clusters() + known.length, new ByPosition()).stream()
                    .filter(x -> Arrays.binarySearch(known, x.position) < 0)
                    .limit(c.clusters() - known.length)
                    .forEach(candidates::add);
        }
        return choose(samples, candidates);
    }

    private static final class ByPosition implements Comparator<Candidate>, Serializable {
        private static final long serialVersionUID = 1L;

        @Override
        public int compare(Candidate a, Candidate b) {
            return Long.compare(a.position, b.position);
        }
    }

    /** Of the candidates, each with the weight of the rows that are nearest to it, as many as there are clusters. */
    private Centroids choose(JavaRDD<Sample> samples, List<Candidate> candidates) {
        Embeddings all = rows(candidates);
        Broadcast<Sample> sent = send(samples, all);
        long[] weights;
        try {
            int n = candidates.size();
            weights = samples.mapPartitions(in -> {
                        Workers.ready();
                        long[] counts = new long[n];
                        try (Centroids centroids = new Centroids(sent.value().rows())) {
                            in.forEachRemaining(s -> {
                                for (int nearest : centroids.nearest(s.rows())) {
                                    counts[nearest]++;
                                }
                            });
                        }
                        return List.of(counts).iterator();
                    })
                    .treeReduce((a, b) -> {
                        Arrays.setAll(a, i -> a[i] + b[i]);
                        return a;
                    });
        } finally {
            sent.destroy();
        }
        if (c.clusters() <= MOST_CHOSEN) {
            double[] w = Arrays.stream(weights).asDoubleStream().toArray();
            return new KMeans(c.clusters(), c.seed(), 1, 1).seeds(all, w);
        }
        // A draw without replacement by weight: the highest u^(1/w).
        int[] chosen = IntStream.range(0, weights.length)
                .boxed()
                .sorted(Comparator.comparingDouble((Integer i) ->
                                Math.log(Draw.unit(c.seed(), CHOICE, i)) / Math.max((double) weights[i], 1e-9))
                        .reversed())
                .limit(c.clusters())
                .mapToInt(Integer::intValue)
                .toArray();
        return new Centroids(all.rows(chosen));
    }

    private static Embeddings rows(List<Candidate> candidates) {
        int width = candidates.get(0).row.length;
        float[] r = new float[candidates.size() * width];
        for (int i = 0; i < candidates.size(); i++) {
            System.arraycopy(candidates.get(i).row, 0, r, i * width, width);
        }
        return Embeddings.of(r, width);
    }

    private static Candidate first(Sample s, long seed) {
        int least = 0;
        for (int i = 1; i < s.positions.length; i++) {
            if (Long.compareUnsigned(Draw.bits(seed, FIRST, s.positions[i]), Draw.bits(seed, FIRST, s.positions[least]))
                    < 0) {
                least = i;
            }
        }
        return new Candidate(s.positions[least], s.rows().row(least));
    }

    private static boolean before(Candidate a, Candidate b, long seed) {
        return Long.compareUnsigned(Draw.bits(seed, FIRST, a.position), Draw.bits(seed, FIRST, b.position)) < 0;
    }

    /** The squared distance of each row to the nearest candidate. */
    private static double[] distances(Sample s, Sample candidates) {
        Workers.ready();
        Embeddings rows = s.rows();
        double[] r = new double[rows.rows()];
        try (Centroids centroids = new Centroids(candidates.rows())) {
            int[] nearest = centroids.nearest(rows);
            for (int i = 0; i < r.length; i++) {
                r[i] = centroids.squaredDistance(rows, i, nearest[i]);
            }
        }
        return r;
    }

    private static List<Candidate> drawn(Sample s, double[] distances, double rate, long seed, int purpose) {
        List<Candidate> r = new ArrayList<>();
        Embeddings rows = s.rows();
        for (int i = 0; i < distances.length; i++) {
            if (Draw.unit(seed, purpose, s.positions[i]) < rate * distances[i]) {
                r.add(new Candidate(s.positions[i], rows.row(i)));
            }
        }
        return r;
    }

    private static List<Candidate> all(Sample s) {
        List<Candidate> r = new ArrayList<>();
        for (int i = 0; i < s.positions.length; i++) {
            r.add(new Candidate(s.positions[i], s.rows().row(i)));
        }
        return r;
    }
}
