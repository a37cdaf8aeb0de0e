package dev.zoetrope.curation.spark;

import dev.zoetrope.curation.ScaleOut;
import dev.zoetrope.tensor.UserError;
import java.io.File;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;

/** Jobs in a Spark session of their own. */
public final class SparkScaleOut implements ScaleOut {
    private static final Pattern MASTER = Pattern.compile(
            "local|local\\[(\\*|\\d+)(,\\d+)?]|local-cluster\\[\\d+,\\d+,\\d+]|spark://.+|yarn|k8s://.+");

    /** What is Spark's own, or comes with it, is on a cluster already. */
    private static final Pattern OURS = Pattern.compile(
            "(zoetrope|pytorch|openblas|mkl|javacpp|tokenizers|api-|jna|gson|snakeyaml|jspecify|ffmpeg).*\\.jar");

    private final SparkSession spark;
    private final Consumer<String> progress;

    private SparkScaleOut(SparkSession spark, Consumer<String> progress) {
        this.spark = spark;
        this.progress = progress;
    }

    /**
     * @param master where it runs
     * @param progress is told what begins
     */
    public static SparkScaleOut open(String master, Consumer<String> progress) {
        if (!MASTER.matcher(master).matches()) {
            throw new UserError(
                    "--master " + master
                            + " is none that Spark knows; known: local, local[N], local[*], spark://HOST:PORT, yarn, k8s://URL");
        }
        SparkConf conf = new SparkConf() // spark.* system properties come first
                .setIfMissing("spark.ui.enabled", "false")
                .setIfMissing("spark.ui.showConsoleProgress", "false")
                .setIfMissing("spark.driver.maxResultSize", "0")
                // Messages of executors are as long as the centroids.
                .setIfMissing("spark.rpc.message.maxSize", "1024")
                .setIfMissing("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS");
        if (master.startsWith("local[") || master.equals("local")) {
            int cores = Runtime.getRuntime().availableProcessors();
            conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1")
                    .setIfMissing("spark.driver.host", "127.0.0.1")
                    .setIfMissing("spark.sql.shuffle.partitions", String.valueOf(Math.max(8, 4 * cores)));
        } else {
            conf.setIfMissing("spark.jars", jars())
                    // as the launcher sets up this process
                    .setIfMissing("spark.executorEnv.OMP_WAIT_POLICY", "PASSIVE")
                    .setIfMissing("spark.executorEnv.MALLOC_ARENA_MAX", "2")
                    .setIfMissing(
                            "spark.executor.extraJavaOptions",
                            "-Dorg.bytedeco.javacpp.maxBytes=0 -Dorg.bytedeco.javacpp.maxPhysicalBytes=0"
                                    + " -Dorg.bytedeco.javacpp.noPointerGC=true");
        }
        progress.accept("starting Spark on " + master);
        return new SparkScaleOut(
                SparkSession.builder()
                        .config(conf)
                        .master(master)
                        .appName("zoetrope")
                        .getOrCreate(),
                progress);
    }

    /** The jars that executors elsewhere do not have: of this class path, and of the folder beside the command's jar. */
    private static String jars() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(File::new)
                .flatMap(jar -> {
                    File[] beside = new File(jar.getAbsoluteFile().getParentFile(), "lib").listFiles();
                    return Stream.concat(Stream.of(jar), beside == null ? Stream.of() : Arrays.stream(beside));
                })
                .filter(jar -> OURS.matcher(jar.getName()).matches())
                .map(File::getAbsolutePath)
                .distinct()
                .collect(Collectors.joining(","));
    }

    /** The session, for steps of one's own. */
    public SparkSession session() {
        return spark;
    }

    @Override
    public CoreSetSummary coreSet(CoreSetJob job) {
        return mended(() -> new CoreSetPipeline(spark, job, progress).run());
    }

    @Override
    public PictureSummary pictures(PictureJob job) {
        return mended(() -> new PicturePipeline(spark, job, progress).run());
    }

    /** What a task throws comes wrapped; the message of what the user can mend is what counts. */
    private static <T> T mended(Supplier<T> work) {
        try {
            return work.get();
        } catch (RuntimeException e) {
            for (Throwable t = e; t != null; t = t.getCause()) {
                if (t instanceof UserError u) {
                    throw u;
                }
            }
            throw e;
        }
    }

    @Override
    public void close() {
        spark.stop();
    }
}
