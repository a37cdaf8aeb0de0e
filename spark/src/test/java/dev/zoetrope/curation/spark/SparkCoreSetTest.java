package dev.zoetrope.curation.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Npy;
import dev.zoetrope.curation.Band;
import dev.zoetrope.curation.Centroids;
import dev.zoetrope.curation.Clustering;
import dev.zoetrope.curation.CoreSet;
import dev.zoetrope.curation.Draw;
import dev.zoetrope.curation.EmbeddingSource;
import dev.zoetrope.curation.Embeddings;
import dev.zoetrope.curation.Keep;
import dev.zoetrope.curation.ScaleOut.CoreSetJob;
import dev.zoetrope.curation.ScaleOut.CoreSetSummary;
import dev.zoetrope.curation.ScaleOut.Step;
import dev.zoetrope.curation.Selection;
import dev.zoetrope.media.Parquet;
import dev.zoetrope.tensor.UserError;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SparkCoreSetTest {
    private static final int ROWS = 500;
    private static final int WIDTH = 16;
    private static final int SHARD = 180;
    private static final int CLUSTERS = 4;
    private static final Selection BY = new Selection(0.93, Keep.MIDDLE, new Band(20, 80), new Band(10, 90), 50, 3);

    @TempDir
    private static Path folder;

    private static SparkScaleOut spark;
    private static float[] images;
    private static float[] texts;
    private static long[] ids;

    /** A row of the metadata. */
    record Meta(long key, String image_path) {}

    @BeforeAll
    static void data() throws IOException {
        images = noise(1, ROWS);
        texts = noise(2, ROWS);
        ids = new long[ROWS];
        for (int i = 0; i < ROWS; i++) {
            ids[i] = Draw.bits(9, 9, i) >>> 1;
            int copied = (int) (Draw.unit(3, 3, i) * ROWS);
            for (int d = 0; d < WIDTH; d++) {
                int at = i * WIDTH + d;
                if (i % 3 == 0) { // a near-duplicate of some other row
                    images[at] = images[copied * WIDTH + d] + 0.1f * texts[at];
                }
                texts[at] += images[at];
            }
        }
        images[5 * WIDTH] = Float.NaN;
        Arrays.fill(texts, 7 * WIDTH, 8 * WIDTH, 0);
        ids[300] = ids[200];
        Path in = folder.resolve("in");
        for (int first = 0, n = 0; first < ROWS; first += SHARD, n++) {
            int count = Math.min(SHARD, ROWS - first);
            array(in.resolve("img_emb/img_emb_" + n + ".npy"), images, first, count, WIDTH);
            array(in.resolve("text_emb/text_emb_" + n + ".npy"), texts, first, count, WIDTH);
            Files.createDirectories(in.resolve("metadata"));
            try (OutputStream out = Files.newOutputStream(in.resolve("metadata/metadata_" + n + ".parquet"));
                    Parquet.Writer<Meta> rows = Parquet.writer(out, Meta.class)) {
                for (int i = first; i < first + count; i++) {
                    rows.add(new Meta(ids[i], i + ".jpg"));
                }
            }
        }
        array(folder.resolve("centroids.npy"), noise(4, CLUSTERS), 0, CLUSTERS, WIDTH);
        spark = SparkScaleOut.open("local[2]", m -> {});
    }

    @AfterAll
    static void stop() {
        spark.close();
    }

    private static float[] noise(long seed, int rows) {
        float[] r = new float[rows * WIDTH];
        for (int i = 0; i < r.length; i++) {
            double u = 1 - Draw.unit(seed, 0, i);
            r[i] = (float) (Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * Draw.unit(seed, 1, i)));
        }
        return r;
    }

    private static void array(Path file, float[] values, int first, int rows, int width) throws IOException {
        Files.createDirectories(file.getParent());
        try (OutputStream out = Files.newOutputStream(file)) {
            out.write(Npy.headerOf(Float.BYTES, rows, width));
            out.write(Npy.bytesOf(Arrays.copyOfRange(values, first * width, (first + rows) * width)));
        }
    }

    private static CoreSetJob job(String input, String output, boolean given) {
        Clustering k = new Clustering(CLUSTERS, 256, 5, 1, given ? folder.resolve("centroids.npy") : null);
        EmbeddingSource source =
                EmbeddingSource.of(folder.resolve(input).toString()).withId("key");
        return new CoreSetJob(source, folder.resolve(output).toString(), k, BY, null);
    }

    private static CoreSetJob with(CoreSetJob job, EmbeddingSource source) {
        return new CoreSetJob(source, job.output(), job.clustering(), job.selection(), job.pictures());
    }

    private static long[] ids(Dataset<Row> rows, String where) {
        return rows.where(where).select("id").collectAsList().stream()
                .mapToLong(r -> r.getLong(0))
                .sorted()
                .toArray();
    }

    private static Dataset<Row> read(String step) {
        return spark.session().read().parquet(folder.resolve(step).toString());
    }

    @Test
    void stepsGiveWhatTheirDefinitionGives() throws IOException {
        CoreSetSummary done = spark.coreSet(job("in", "out", true));
        CoreSet expected;
        try (Centroids c = Centroids.read(folder.resolve("centroids.npy"))) {
            expected = CoreSet.of(ids, Embeddings.of(images, WIDTH), Embeddings.of(texts, WIDTH), c, BY);
        }
        assertThat(ids(read("out/deduplicated"), "survivor")).isEqualTo(expected.deduplicated());
        assertThat(ids(read("out/by-similarity"), "kept")).isEqualTo(expected.afterText());
        assertThat(ids(read("out/by-centroid"), "kept")).isEqualTo(expected.afterCentroid());
        assertThat(ids(read("out/core-set"), "true")).isEqualTo(expected.sample());
        assertThat(done.notes())
                .anyMatch(n -> n.contains("1 rows were set aside: a number is NaN"))
                .anyMatch(n -> n.contains("1 rows were set aside: an embedding is all zeros"))
                .anyMatch(n -> n.contains("1 rows were set aside: their id stands in an earlier row"))
                .anyMatch(n -> n.contains("were not of length 1; they were normalised"));
        assertThat(read("out/core-set").columns()).contains("meta_image_path", "similarity", "centroid_cosine");

        // The same call goes on: what is there stays, what is missing or half-written is made again.
        delete(folder.resolve("out/core-set"));
        Files.createDirectories(folder.resolve("out/.unfinished-core-set-00000000-0000-0000-0000-000000000000"));
        CoreSetSummary again = spark.coreSet(job("in", "out", true));
        assertThat(again.steps()).extracting(Step::reused).containsExactly(false, true, true, true, true, false);
        assertThat(again.notes()).anyMatch(n -> n.contains("left the step core-set half-written"));
        assertThat(ids(read("out/core-set"), "true")).isEqualTo(expected.sample());

        // Clusters cut into parts, whose pairs are tasks of their own, give the same components.
        Dataset<Row> usable = read("out/assigned").where("reason = 0 and position <> 300");
        assertThat(ids(CoreSetSteps.deduplicate(usable, BY, 25), "survivor")).isEqualTo(expected.deduplicated());
    }

    @Test
    void whatDoesNotFitIsNamed() throws IOException {
        array(folder.resolve("mixed/img_emb/img_emb_0.npy"), noise(1, 4), 0, 4, WIDTH);
        array(folder.resolve("mixed/img_emb/img_emb_1.npy"), noise(1, 4), 0, 4, WIDTH / 2);
        refused(job("mixed", "o1", true), "neither text_emb/ nor metadata/");
        for (int n = 0; n < 2; n++) {
            array(folder.resolve("mixed/text_emb/text_emb_" + n + ".npy"), noise(1, 4), 0, 4, WIDTH);
        }
        CoreSetJob mixed = job("mixed", "o1", true);
        refused(with(mixed, mixed.source().withId(null)), "img_emb_1.npy: rows have 8 numbers, those of ");
        CoreSetJob in = job("in", "o2", true);
        refused(with(in, in.source().withId("none")), "there is no column none; present: key, image_path");
        refused(with(in, in.source().withId("image_path")), "are string, expected whole numbers");
        refused(job("in", "in", true), "holds other things");
        refused(job("nothing", "o3", true), "no embeddings are there");
        assertThatThrownBy(() -> SparkScaleOut.open("remote", m -> {}))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("--master remote");
    }

    private static void refused(CoreSetJob job, String message) {
        assertThatThrownBy(() -> spark.coreSet(job))
                .isInstanceOf(UserError.class)
                .hasMessageContaining(message);
    }

    /** A master and two workers with an executor each, processes of their own on this machine. */
    @Test
    @Tag("cluster")
    void aClusterOfTwoWorkersGivesTheSame() throws IOException {
        spark.coreSet(job("in", "local", false));
        spark.close();
        Path home = folder.resolve("home");
        Files.createDirectories(home.resolve("jars"));
        Files.createDirectories(home.resolve("launcher/target/scala-2.13"));
        List<String> folders = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
            Path path = Path.of(entry).toAbsolutePath();
            if (entry.endsWith(".jar")) {
                Files.createSymbolicLink(home.resolve("jars").resolve(path.getFileName()), path);
            } else {
                folders.add(path.toString());
            }
        }
        System.setProperty("spark.testing", "true");
        System.setProperty("spark.test.home", home.toString());
        System.setProperty("spark.jars", "");
        System.setProperty("spark.executor.extraClassPath", String.join(File.pathSeparator, folders));
        try {
            spark = SparkScaleOut.open("local-cluster[2,1,1024]", m -> {});
            spark.coreSet(job("in", "cluster", false));
            int processes = spark.session().sparkContext().statusTracker().getExecutorInfos().length;
            assertThat(processes).as("the driver and two executors").isEqualTo(3);
        } finally {
            for (String key : List.of("testing", "test.home", "jars", "executor.extraClassPath")) {
                System.clearProperty("spark." + key);
            }
        }
        for (String step : List.of("deduplicated", "by-similarity", "by-centroid", "core-set")) {
            assertThat(read("cluster/" + step).orderBy("id").collectAsList())
                    .isEqualTo(read("local/" + step).orderBy("id").collectAsList());
        }
        assertThat(folder.resolve("cluster/centroids/centroids.npy"))
                .hasSameBinaryContentAs(folder.resolve("local/centroids/centroids.npy"));
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
    }
}
