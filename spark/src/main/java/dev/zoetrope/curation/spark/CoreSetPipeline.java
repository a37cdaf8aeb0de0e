package dev.zoetrope.curation.spark;

import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.Centroids;
import dev.zoetrope.curation.CoreSet.Rejection;
import dev.zoetrope.curation.Embeddings;
import dev.zoetrope.curation.ScaleOut.CoreSetJob;
import dev.zoetrope.curation.ScaleOut.CoreSetSummary;
import dev.zoetrope.curation.ScaleOut.Step;
import dev.zoetrope.curation.Selection;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.function.FilterFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Chooses a core set step by step, each of which leaves its result in a folder of its own. */
final class CoreSetPipeline {
    /** Rows of one task of the search for near-duplicates: with 512 numbers each they take 60 MB. */
    private static final int TOGETHER = 30_000;

    private static final int MOST_REPEATED = 5_000_000;
    private static final double OFF_LENGTH = 0.01;

    private final SparkSession spark;
    private final CoreSetJob job;
    private final Consumer<String> progress;
    private final StepStore store;

    CoreSetPipeline(SparkSession spark, CoreSetJob job, Consumer<String> progress) {
        this.spark = spark;
        this.job = job;
        this.progress = progress;
        this.store = StepStore.open(spark, job.output());
    }

    CoreSetSummary run() {
        Selection by = job.selection();
        progress.accept("reading what there is");
        EmbeddingInput input = EmbeddingInput.open(spark, job.source());
        String given = job.clustering().given() == null
                ? ""
                : StepStore.digest(bytes(job.clustering().given()));
        String madeFrom = StepStore.digest("assigned 1", input.fingerprint(), job.clustering(), given);

        Dataset<Row> assigned;
        try (Centroids centroids = centroids(input, madeFrom)) {
            progress.accept("assigning " + input.rows() + " rows to " + centroids.count() + " clusters");
            assigned = store.step("assigned", madeFrom, () -> CoreSetSteps.assign(spark, input.blocks(), centroids));
        }

        long[] repeated =
                job.source().id() == null ? new long[0] : CoreSetSteps.repeatedIds(assigned, MOST_REPEATED + 1);
        if (repeated.length > MOST_REPEATED) {
            throw new UserError(job.source().location() + ": more than " + MOST_REPEATED + " rows repeat an id; is "
                    + job.source().id() + " the column of ids?");
        }
        Dataset<Row> usable = usable(assigned, repeated);

        progress.accept("finding near-duplicates");
        madeFrom = StepStore.digest("deduplicated 1", madeFrom, by.threshold(), by.keep());
        Dataset<Row> deduplicated =
                store.step("deduplicated", madeFrom, () -> CoreSetSteps.deduplicate(usable, by, TOGETHER));

        progress.accept("ranking by the similarity of picture and text");
        madeFrom = StepStore.digest("similarity 1", madeFrom, by.similarity());
        Dataset<Row> afterText = store.step(
                "by-similarity",
                madeFrom,
                () -> CoreSetSteps.rank(deduplicated.where("survivor"), "similarity", by.similarity()));

        progress.accept("ranking by the likeness to the centroid");
        madeFrom = StepStore.digest("centroid 1", madeFrom, by.centroid());
        Dataset<Row> afterCentroid = store.step(
                "by-centroid",
                madeFrom,
                () -> CoreSetSteps.rank(afterText.where("kept"), "centroid_cosine", by.centroid()));

        progress.accept("drawing the sample");
        madeFrom = StepStore.digest("core-set 1", madeFrom, by.sample(), by.seed());
        Dataset<Row> coreSet = store.step("core-set", madeFrom, () -> {
            Dataset<Row> drawn = CoreSetSteps.sample(afterCentroid.where("kept"), by);
            Dataset<Row> metadata = input.metadata();
            return metadata == null
                    ? drawn
                    : drawn.join(metadata, drawn.col("position").equalTo(metadata.col("position")), "left")
                            .drop(metadata.col("position"));
        });

        List<String> notes = new ArrayList<>(store.notes());
        notes(notes, assigned, repeated.length);
        long rows = input.rows();
        long good = usable.count();
        List<Step> steps = List.of(
                new Step("rows", rows, false),
                new Step("usable", good, store.wasReused("assigned")),
                new Step("deduplicated", afterText.count(), store.wasReused("deduplicated")),
                new Step("by-similarity", afterCentroid.count(), store.wasReused("by-similarity")),
                new Step("by-centroid", afterCentroid.where("kept").count(), store.wasReused("by-centroid")),
                new Step("core-set", coreSet.count(), store.wasReused("core-set")));
        progress.accept("writing the report");
        new CoreSetReport(job, input, steps, store.seconds(), notes)
                .write(store, deduplicated, afterText, afterCentroid, coreSet);
        return new CoreSetSummary(
                steps,
                notes,
                store.path("core-set").toString(),
                store.path("report.html").toString());
    }

    /** Found, or given; either way they stand in the output. */
    private Centroids centroids(EmbeddingInput input, String madeFrom) {
        java.nio.file.Path given = job.clustering().given();
        String name = "centroids";
        store.folderStep(name, madeFrom, folder -> {
            try (Centroids c = given != null
                    ? Centroids.read(given)
                    : new DistributedKMeans(job.clustering(), progress).fit(input)) {
                if (c.width() != input.width()) {
                    throw new UserError(
                            given + ": centroids have " + c.width() + " numbers, the embeddings " + input.width());
                }
                write(c, new Path(folder, "centroids.npy"));
            }
        });
        Path file = new Path(store.path(name), "centroids.npy");
        try (Npy npy = Npy.open(file.toString(), store.fileSystem().open(file))) {
            return new Centroids(Embeddings.of(npy.nextFloats(Integer.MAX_VALUE), npy.columns()));
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    private void write(Centroids c, Path file) throws IOException {
        try (OutputStream out = store.fileSystem().create(file, true)) {
            out.write(Npy.headerOf(Float.BYTES, c.count(), c.width()));
            for (int i = 0; i < c.count(); i++) {
                out.write(Npy.bytesOf(c.values().row(i)));
            }
        }
    }

    private static String bytes(java.nio.file.Path file) {
        try {
            return Arrays.toString(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e, e);
        }
    }

    /** Each id once: the rows that are fine, without those whose id stands in an earlier one. */
    private Dataset<Row> usable(Dataset<Row> assigned, long... repeated) {
        Dataset<Row> fine = assigned.where("reason = 0");
        if (repeated.length == 0) {
            return fine;
        }
        Broadcast<long[]> sent = EmbeddingInput.context(spark).broadcast(repeated);
        return fine.filter((FilterFunction<Row>) r -> Arrays.binarySearch(sent.value(), r.getLong(0)) < 0);
    }

    private void notes(List<String> notes, Dataset<Row> assigned, long repeated) {
        for (Row r : assigned.where("reason > 0").groupBy("reason").count().collectAsList()) {
            notes.add(r.getLong(1) + " rows were set aside: "
                    + (r.getInt(0) == Rejection.NOT_FINITE.code()
                            ? "a number is NaN or infinite, or the similarity is missing"
                            : "an embedding is all zeros"));
        }
        if (repeated > 0) {
            notes.add(repeated + " rows were set aside: their id stands in an earlier row");
        }
        long off =
                assigned.where("reason = 0 and abs(length - 1) > " + OFF_LENGTH).count();
        if (off > 0) {
            notes.add(off + " embeddings were not of length 1; they were normalised");
        }
        long used = assigned.where("reason = 0").select("cluster").distinct().count();
        long clusters = job.clustering().given() == null ? job.clustering().clusters() : -1;
        if (clusters > used) {
            notes.add(String.format(Locale.ROOT, "%d of %d clusters are empty", clusters - used, clusters));
        }
    }
}
