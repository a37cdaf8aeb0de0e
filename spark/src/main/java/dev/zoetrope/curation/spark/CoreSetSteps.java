package dev.zoetrope.curation.spark;

import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.Band;
import dev.zoetrope.curation.Centroids;
import dev.zoetrope.curation.Components;
import dev.zoetrope.curation.CoreSet.Rejection;
import dev.zoetrope.curation.Embeddings;
import dev.zoetrope.curation.Keep;
import dev.zoetrope.curation.NearDuplicates;
import dev.zoetrope.curation.Selection;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * The steps of a core set as functions over data frames; {@link dev.zoetrope.curation.CoreSet} is their definition.
 *
 * <pre>
 * assigned      position, id, reason, cluster, distance, centroid_cosine, similarity, length, element_bytes, embedding
 * deduplicated  position, id, cluster, distance, centroid_cosine, similarity, component, survivor
 * ranked        what came in, rank, kept
 * </pre>
 */
public final class CoreSetSteps {
    private static final StructType ASSIGNED = schema(
            "position", DataTypes.LongType,
            "id", DataTypes.LongType,
            "reason", DataTypes.IntegerType,
            "cluster", DataTypes.IntegerType,
            "distance", DataTypes.DoubleType,
            "centroid_cosine", DataTypes.DoubleType,
            "similarity", DataTypes.DoubleType,
            "length", DataTypes.DoubleType,
            "element_bytes", DataTypes.IntegerType,
            "embedding", DataTypes.BinaryType);
    private static final StructType EDGES =
            schema("cluster", DataTypes.IntegerType, "a", DataTypes.LongType, "b", DataTypes.LongType);
    private static final StructType DEDUPLICATED = schema(
            "position", DataTypes.LongType,
            "id", DataTypes.LongType,
            "cluster", DataTypes.IntegerType,
            "distance", DataTypes.DoubleType,
            "centroid_cosine", DataTypes.DoubleType,
            "similarity", DataTypes.DoubleType,
            "component", DataTypes.LongType,
            "survivor", DataTypes.BooleanType);
    private static final String[] SCORES = {"position", "id", "cluster", "distance", "centroid_cosine", "similarity"};

    private CoreSetSteps() {}

    private static StructType schema(Object... namesAndTypes) {
        List<StructField> fields = new ArrayList<>();
        for (int i = 0; i < namesAndTypes.length; i += 2) {
            fields.add(DataTypes.createStructField((String) namesAndTypes[i], (DataType) namesAndTypes[i + 1], false));
        }
        return DataTypes.createStructType(fields);
    }

    /** Every row with its scores and its nearest cluster; those that cannot be compared have a reason and cluster -1. */
    static Dataset<Row> assign(SparkSession spark, JavaRDD<Block> blocks, Centroids centroids) {
        Embeddings values = centroids.values();
        int width = values.width();
        float[] all = new float[values.rows() * width];
        for (int i = 0; i < values.rows(); i++) {
            System.arraycopy(values.row(i), 0, all, i * width, width);
        }
        Broadcast<float[]> sent = EmbeddingInput.context(spark).broadcast(all);
        JavaRDD<Row> rows = blocks.mapPartitions(in -> new Assigning(in, sent.value(), width));
        return spark.createDataFrame(rows, ASSIGNED);
    }

    /** Block by block, so that a partition may be larger than memory. */
    private static final class Assigning implements Iterator<Row> {
        private final Iterator<Block> in;
        private final Centroids centroids;
        private Iterator<Row> block = List.<Row>of().iterator();

        Assigning(Iterator<Block> in, float[] centroids, int width) {
            Workers.ready();
            this.in = in;
            this.centroids = new Centroids(Embeddings.of(centroids, width));
        }

        @Override
        public boolean hasNext() {
            while (!block.hasNext()) {
                if (!in.hasNext()) {
                    centroids.close();
                    return false;
                }
                block = assign(in.next(), centroids).iterator();
            }
            return true;
        }

        @Override
        public Row next() {
            return block.next();
        }
    }

    private static List<Row> assign(Block b, Centroids centroids) {
        Embeddings images = b.imageRows();
        Block.Judged judged = b.judge(images);
        for (int i = 0; i < b.rows(); i++) {
            if (judged.why()[i] != null) { // what is not finite must not reach the products
                images = images.zeroed(i);
            }
        }
        Embeddings unit = images.unit();
        int[] nearest = centroids.nearest(unit);
        List<Row> r = new ArrayList<>(b.rows());
        for (int i = 0; i < b.rows(); i++) {
            Rejection why = judged.why()[i];
            boolean fine = why == null;
            r.add(RowFactory.create(
                    b.positions()[i],
                    b.ids()[i],
                    fine ? 0 : why.code(),
                    fine ? nearest[i] : -1,
                    fine ? centroids.distance(unit, i, nearest[i]) : 0.0,
                    fine ? centroids.cosine(unit, i, nearest[i]) : 0.0,
                    judged.similarity()[i],
                    fine ? images.norm(i) : 0.0,
                    b.imageBytes(),
                    fine ? b.image(i) : new byte[0]));
        }
        return r;
    }

    /** Positions of rows whose id stands in an earlier row that is fine, in rising order; at most {@code most}. */
    static long[] repeatedIds(Dataset<Row> assigned, int most) {
        Dataset<Row> good = assigned.where("reason = 0").select("position", "id");
        Dataset<Row> repeated = good.groupBy("id")
                .agg(
                        functions.count("id").as("times"),
                        functions.min("position").as("first"))
                .where("times > 1")
                .drop("times");
        return good
                .join(repeated, "id")
                .where("position > first")
                .select("position")
                .limit(most)
                .collectAsList()
                .stream()
                .mapToLong(r -> r.getLong(0))
                .sorted()
                .toArray();
    }

    /**
     * Joins near-duplicates inside the clusters and says which row of each component stays. A cluster of more rows than
     * {@code together} is cut into parts, and every pair of parts is a task of its own, so that no machine holds more.
     *
     * @param assigned rows that are fine, each id once
     */
    public static Dataset<Row> deduplicate(Dataset<Row> assigned, Selection by, int together) {
        SparkSession spark = assigned.sparkSession();
        Map<Integer, Integer> parts = new TreeMap<>();
        for (Row r : assigned.groupBy("cluster").count().collectAsList()) {
            int n = (int) ((r.getLong(1) + together - 1) / together);
            if (n > 1) {
                parts.put(r.getInt(0), n);
            }
        }
        return survivors(assigned, edges(spark, assigned, by.threshold(), parts), by.keep());
    }

    private static Dataset<Row> edges(
            SparkSession spark, Dataset<Row> assigned, double threshold, Map<Integer, Integer> parts) {
        List<Row> large = new ArrayList<>();
        parts.forEach((cluster, n) -> large.add(RowFactory.create(cluster, n)));
        Dataset<Row> cut =
                spark.createDataFrame(large, schema("cluster", DataTypes.IntegerType, "parts", DataTypes.IntegerType));
        // A row of part p goes into the tasks (p, x) for every part x; both parts of a task are told apart by second.
        Dataset<Row> tasks = assigned.select("cluster", "id", "element_bytes", "embedding")
                .join(functions.broadcast(cut), assigned.col("cluster").equalTo(cut.col("cluster")), "left")
                .drop(cut.col("cluster"))
                .withColumn("parts", functions.expr("coalesce(parts, 1)"))
                .withColumn("part", functions.expr("cast(pmod(xxhash64(id), parts) as int)"))
                .withColumn("other", functions.expr("explode(sequence(0, parts - 1))"))
                .selectExpr(
                        "cluster",
                        "least(part, other) as i",
                        "greatest(part, other) as j",
                        "part > other as second",
                        "id",
                        "element_bytes",
                        "embedding")
                .repartition(functions.col("cluster"), functions.col("i"), functions.col("j"))
                .sortWithinPartitions("cluster", "i", "j", "second", "id");
        JavaRDD<Row> found = tasks.queryExecution().toRdd().toJavaRDD().mapPartitions(in -> new Edges(in, threshold));
        return spark.createDataFrame(found, EDGES);
    }

    /** Rows of one task after the other; of each a spanning forest of its near-duplicates. */
    private static final class Edges implements Iterator<Row> {
        private final Iterator<InternalRow> in;
        private final NearDuplicates near;
        private Iterator<Row> found = List.<Row>of().iterator();
        private Task task = new Task();

        Edges(Iterator<InternalRow> in, double threshold) {
            Workers.ready();
            this.in = in;
            this.near = new NearDuplicates(threshold);
        }

        @Override
        public boolean hasNext() {
            while (!found.hasNext() && in.hasNext()) {
                InternalRow r = in.next();
                if (!task.isOf(r)) {
                    found = task.edges(near).iterator();
                    task = new Task();
                }
                task.add(r);
            }
            if (!found.hasNext() && !task.ids.isEmpty()) {
                found = task.edges(near).iterator();
                task = new Task();
            }
            return found.hasNext();
        }

        @Override
        public Row next() {
            return found.next();
        }
    }

    private static final class Task {
        private int cluster;
        private int i;
        private int j;
        private int seconds;
        private final List<Long> ids = new ArrayList<>();
        private final List<float[]> rows = new ArrayList<>();

        boolean isOf(InternalRow r) {
            return ids.isEmpty() || (r.getInt(0) == cluster && r.getInt(1) == i && r.getInt(2) == j);
        }

        void add(InternalRow r) {
            cluster = r.getInt(0);
            i = r.getInt(1);
            j = r.getInt(2);
            seconds += r.getBoolean(3) ? 1 : 0;
            ids.add(r.getLong(4));
            rows.add(Npy.floats(r.getBinary(6), r.getInt(5)));
        }

        List<Row> edges(NearDuplicates near) {
            if (ids.size() < 2) {
                return List.of();
            }
            List<Row> r = new ArrayList<>();
            NearDuplicates.Joined edge = (a, b) -> r.add(RowFactory.create(cluster, ids.get(a), ids.get(b)));
            Components components = new Components(ids.size());
            int firsts = ids.size() - seconds;
            if (i == j) {
                near.join(unit(0, ids.size()), components, edge);
            } else if (firsts > 0 && seconds > 0) {
                near.joinAcross(unit(0, firsts), unit(firsts, seconds), components, edge);
            }
            return r;
        }

        private Embeddings unit(int from, int count) {
            int width = rows.get(0).length;
            float[] all = new float[count * width];
            for (int k = 0; k < count; k++) {
                System.arraycopy(rows.get(from + k), 0, all, k * width, width);
            }
            return Embeddings.of(all, width).unit();
        }
    }

    /** Brings edges and scores of a cluster together; embeddings are not needed any more. */
    private static Dataset<Row> survivors(Dataset<Row> assigned, Dataset<Row> edges, Keep keep) {
        Dataset<Row> scores = assigned.selectExpr(
                "cluster", "1 as kind", "id as a", "position as b", "distance", "centroid_cosine", "similarity");
        Dataset<Row> joined = edges.selectExpr(
                "cluster", "2 as kind", "a", "b", "0D as distance", "0D as centroid_cosine", "0D as similarity");
        JavaRDD<Row> r = scores.union(joined)
                .repartition(functions.col("cluster"))
                .sortWithinPartitions("cluster", "kind", "a")
                .queryExecution()
                .toRdd()
                .toJavaRDD()
                .mapPartitions(in -> new Clusters(in, keep));
        return assigned.sparkSession().createDataFrame(r, DEDUPLICATED);
    }

    private record Scored(long id, long position, double distance, double cosine, double similarity) {}

    private static final class Clusters implements Iterator<Row> {
        private final Iterator<InternalRow> in;
        private final Keep keep;
        private Iterator<Row> done = List.<Row>of().iterator();
        private int cluster = -1;
        private List<Scored> members = new ArrayList<>();
        private List<long[]> edges = new ArrayList<>();

        Clusters(Iterator<InternalRow> in, Keep keep) {
            this.in = in;
            this.keep = keep;
        }

        @Override
        public boolean hasNext() {
            while (!done.hasNext() && in.hasNext()) {
                InternalRow r = in.next();
                if (r.getInt(0) != cluster) {
                    done = finish().iterator();
                    cluster = r.getInt(0);
                }
                if (r.getInt(1) == 1) {
                    members.add(new Scored(r.getLong(2), r.getLong(3), r.getDouble(4), r.getDouble(5), r.getDouble(6)));
                } else {
                    edges.add(new long[] {r.getLong(2), r.getLong(3)});
                }
            }
            if (!done.hasNext() && !members.isEmpty()) {
                done = finish().iterator();
            }
            return done.hasNext();
        }

        @Override
        public Row next() {
            return done.next();
        }

        /** Members came sorted by id. */
        private List<Row> finish() {
            long[] ids = members.stream().mapToLong(Scored::id).toArray();
            Components components = new Components(ids.length);
            edges.forEach(e -> components.join(Arrays.binarySearch(ids, e[0]), Arrays.binarySearch(ids, e[1])));
            long[] lowest = components.lowest(ids);
            Map<Long, List<Keep.Member>> groups = new TreeMap<>();
            for (int i = 0; i < ids.length; i++) {
                Scored m = members.get(i);
                groups.computeIfAbsent(lowest[i], k -> new ArrayList<>())
                        .add(new Keep.Member(m.id, m.distance, m.similarity));
            }
            Map<Long, Long> stays = new TreeMap<>();
            groups.forEach((component, g) -> stays.put(component, keep.of(g).id()));
            List<Row> r = new ArrayList<>(ids.length);
            for (int i = 0; i < ids.length; i++) {
                Scored m = members.get(i);
                r.add(RowFactory.create(
                        m.position,
                        m.id,
                        cluster,
                        m.distance,
                        m.cosine,
                        m.similarity,
                        lowest[i],
                        stays.get(lowest[i]) == m.id));
            }
            members = new ArrayList<>();
            edges = new ArrayList<>();
            return r;
        }
    }

    /**
     * Ranks rows by a score, the highest first and of equals the lower id, and marks a band of the ranks. The ranks are
     * exact: the rows are sorted, not sketched.
     */
    public static Dataset<Row> rank(Dataset<Row> rows, String score, Band band) {
        Dataset<Row> in = rows.selectExpr(SCORES);
        long n = in.count();
        StructType schema =
                in.schema().add("rank", DataTypes.LongType, false).add("kept", DataTypes.BooleanType, false);
        JavaRDD<Row> ranked = in.orderBy(
                        functions.col(score).desc(), functions.col("id").asc())
                .toJavaRDD()
                .zipWithIndex()
                .map(p -> with(p._1(), p._2(), band.holds(p._2(), n)));
        return rows.sparkSession().createDataFrame(ranked, schema);
    }

    /** Draws rows by the lowest tickets. */
    public static Dataset<Row> sample(Dataset<Row> rows, Selection by) {
        Ticket ticket = new Ticket(by);
        JavaRDD<Row> drawn = rows.selectExpr(SCORES)
                .toJavaRDD()
                .sortBy(
                        r -> new Drawn(ticket.of(r.getLong(1)), r.getLong(1)),
                        true,
                        rows.sparkSession().sessionState().conf().numShufflePartitions())
                .zipWithIndex()
                .filter(p -> p._2() < by.sample())
                .map(p -> p._1());
        return rows.sparkSession()
                .createDataFrame(drawn, rows.selectExpr(SCORES).schema());
    }

    private record Ticket(Selection by) implements Serializable {
        long of(long id) {
            return by.ticket(id);
        }
    }

    private record Drawn(long ticket, long id) implements Comparable<Drawn>, Serializable {
        @Override
        public int compareTo(Drawn o) {
            return ticket != o.ticket ? Long.compare(ticket, o.ticket) : Long.compare(id, o.id);
        }
    }

    private static Row with(Row row, long rank, boolean kept) {
        Object[] values = new Object[row.length() + 2];
        for (int i = 0; i < row.length(); i++) {
            values[i] = row.get(i);
        }
        values[row.length()] = rank;
        values[row.length() + 1] = kept;
        return RowFactory.create(values);
    }
}
