package dev.zoetrope.curation;

import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A core set chosen in the memory of one machine: the definition that the same steps over Spark are held to.
 *
 * @param cluster of each row, -1 for those rejected
 * @param component the lowest id of the row's component of near-duplicates, -1 for those rejected
 * @param similarity of picture and text, a cosine
 * @param centroidCosine the cosine of the row to its centroid
 * @param rejected what was set aside, by row
 * @param deduplicated ids left after the first step, rising
 * @param afterText ids left after the second
 * @param afterCentroid ids left after the third
 * @param sample ids drawn of these
 */
@SuppressWarnings("ArrayRecordComponent")
public record CoreSet(
        int[] cluster,
        long[] component,
        double[] similarity,
        double[] centroidCosine,
        Map<Integer, Rejection> rejected,
        long[] deduplicated,
        long[] afterText,
        long[] afterCentroid,
        long[] sample) {

    /** Why a row is set aside; the first reason that applies. */
    public enum Rejection {
        /** A number of the image's or the text's embedding is NaN or infinite. */
        NOT_FINITE(1),
        /** The image's or the text's embedding is all zeros: it has no direction. */
        ZERO(2),
        /** The id was seen in an earlier row that was not rejected. */
        DUPLICATE_ID(3);

        private final int code;

        Rejection(int code) {
            this.code = code;
        }

        /** 1, 2, 3. */
        public int code() {
            return code;
        }

        /** What the flaws of both embeddings amount to; null for none. */
        public static @Nullable Rejection of(Embeddings.Flaw image, Embeddings.Flaw text) {
            if (image == Embeddings.Flaw.NOT_FINITE || text == Embeddings.Flaw.NOT_FINITE) {
                return NOT_FINITE;
            }
            return image == Embeddings.Flaw.ZERO || text == Embeddings.Flaw.ZERO ? ZERO : null;
        }
    }

    /**
     * Chooses by the embeddings of pictures and of their texts.
     *
     * @param ids one a row
     * @param images {@code [row, width]}
     * @param texts {@code [row, width]}
     */
    public static CoreSet of(long[] ids, Embeddings images, Embeddings texts, Centroids centroids, Selection by) {
        if (texts.width() != images.width() || texts.rows() != images.rows()) {
            throw new UserError("text embeddings " + shape(texts) + " do not fit image embeddings " + shape(images));
        }
        return of(ids, images, row -> texts.flaw(row), row -> images.cosine(row, texts, row), centroids, by);
    }

    /**
     * Chooses by the embeddings of pictures and a score of how they fit their texts.
     *
     * @param similarity one a row
     */
    public static CoreSet of(long[] ids, Embeddings images, double[] similarity, Centroids centroids, Selection by) {
        if (similarity.length != images.rows()) {
            throw new UserError(similarity.length + " similarities for " + images.rows() + " rows");
        }
        return of(
                ids,
                images,
                row -> Double.isFinite(similarity[row]) ? Embeddings.Flaw.NONE : Embeddings.Flaw.NOT_FINITE,
                row -> similarity[row],
                centroids,
                by);
    }

    private interface Flaws {
        Embeddings.Flaw of(int row);
    }

    private static CoreSet of(
            long[] ids,
            Embeddings images,
            Flaws texts,
            IntToDoubleFunction similarities,
            Centroids centroids,
            Selection by) {
        int n = images.rows();
        if (ids.length != n) {
            throw new UserError(ids.length + " ids for " + n + " rows");
        }
        Map<Integer, Rejection> rejected = new TreeMap<>();
        Set<Long> seen = new HashSet<>();
        for (int i = 0; i < n; i++) {
            Rejection why = Rejection.of(images.flaw(i), texts.of(i));
            if (why == null && !seen.add(ids[i])) {
                why = Rejection.DUPLICATE_ID;
            }
            if (why != null) {
                rejected.put(i, why);
            }
        }
        int[] good = IntStream.range(0, n).filter(i -> !rejected.containsKey(i)).toArray();

        Embeddings unit = images.rows(good).unit();
        int[] nearest = centroids.nearest(unit);
        int[] cluster = new int[n];
        double[] similarity = new double[n];
        double[] cosine = new double[n];
        Arrays.fill(cluster, -1);
        Map<Integer, List<Integer>> members = new TreeMap<>(); // cluster to positions among the good
        for (int g = 0; g < good.length; g++) {
            int row = good[g];
            cluster[row] = nearest[g];
            similarity[row] = similarities.applyAsDouble(row);
            cosine[row] = centroids.cosine(unit, g, nearest[g]);
            members.computeIfAbsent(nearest[g], c -> new ArrayList<>()).add(g);
        }

        long[] component = new long[n];
        Arrays.fill(component, -1);
        Map<Long, Integer> rowOf = new HashMap<>();
        List<Keep.Member> left = new ArrayList<>();
        NearDuplicates near = new NearDuplicates(by.threshold());
        members.forEach((c, positions) -> {
            int[] p = positions.stream().mapToInt(i -> i).toArray();
            long[] own = Arrays.stream(p).mapToLong(g -> ids[good[g]]).toArray();
            Components components = new Components(p.length);
            near.join(unit.rows(p), components, (a, b) -> {});
            long[] lowest = components.lowest(own);
            Map<Long, List<Keep.Member>> groups = new TreeMap<>();
            for (int i = 0; i < p.length; i++) {
                int row = good[p[i]];
                component[row] = lowest[i];
                rowOf.put(own[i], row);
                groups.computeIfAbsent(lowest[i], k -> new ArrayList<>())
                        .add(new Keep.Member(own[i], centroids.distance(unit, p[i], c), similarity[row]));
            }
            groups.values().forEach(g -> left.add(by.keep().of(g)));
        });

        long[] deduplicated = left.stream().mapToLong(Keep.Member::id).sorted().toArray();
        long[] afterText = band(deduplicated, by.similarity(), id -> similarity[rowOf.get(id)]);
        long[] afterCentroid = band(afterText, by.centroid(), id -> cosine[rowOf.get(id)]);
        return new CoreSet(
                cluster,
                component,
                similarity,
                cosine,
                rejected,
                deduplicated,
                afterText,
                afterCentroid,
                sample(afterCentroid, by));
    }

    private interface Score {
        double of(long id);
    }

    private static long[] band(long[] ids, Band band, Score score) {
        return Arrays.stream(ids)
                .boxed()
                .sorted(Comparator.<Long>comparingDouble(score::of).reversed().thenComparing(Comparator.naturalOrder()))
                .skip(band.first(ids.length))
                .limit(band.end(ids.length) - band.first(ids.length))
                .mapToLong(Long::longValue)
                .sorted()
                .toArray();
    }

    private static long[] sample(long[] ids, Selection by) {
        return Arrays.stream(ids)
                .boxed()
                .sorted(Comparator.<Long>comparingLong(by::ticket).thenComparing(Comparator.naturalOrder()))
                .limit(by.sample())
                .mapToLong(Long::longValue)
                .sorted()
                .toArray();
    }

    private static String shape(Embeddings e) {
        return "[" + e.rows() + ", " + e.width() + "]";
    }
}
