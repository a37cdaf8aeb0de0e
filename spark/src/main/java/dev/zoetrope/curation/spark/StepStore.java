package dev.zoetrope.curation.spark;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Supplier;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * The folder of a job's steps. A step is written beside its place and moved there when it is complete, together with what
 * it was made from; a step that was made from the same is not made again.
 */
final class StepStore {
    private static final String MARK = "_zoetrope";
    private static final String UNFINISHED = ".unfinished-";
    private static final String MADE_FROM = "_made_from";

    private final SparkSession spark;
    private final FileSystem fs;
    private final Path folder;
    private final Map<String, Boolean> reused = new LinkedHashMap<>();
    private final Map<String, Double> seconds = new LinkedHashMap<>();
    private final List<String> notes = new ArrayList<>();

    private StepStore(SparkSession spark, FileSystem fs, Path folder) {
        this.spark = spark;
        this.fs = fs;
        this.folder = folder;
    }

    static StepStore open(SparkSession spark, String output) {
        Path folder = new Path(output);
        try {
            FileSystem fs = folder.getFileSystem(spark.sparkContext().hadoopConfiguration());
            if (fs.exists(folder) && fs.getFileStatus(folder).isFile()) {
                throw new UserError(output + ": is a file, expected a folder to write to");
            }
            StepStore store = new StepStore(spark, fs, folder);
            if (fs.exists(folder) && fs.listStatus(folder).length > 0 && !fs.exists(new Path(folder, MARK))) {
                throw new UserError(output + ": holds other things; name a folder that is empty or not there yet");
            }
            fs.mkdirs(folder);
            fs.create(new Path(folder, MARK), true).close();
            store.removeUnfinished();
            return store;
        } catch (IOException e) {
            throw new UserError(
                    output + ": cannot be written to: " + e.getMessage() + "; name another folder by --out", e);
        }
    }

    private void removeUnfinished() throws IOException {
        for (FileStatus f : fs.listStatus(folder)) {
            if (f.getPath().getName().startsWith(UNFINISHED)) {
                notes.add("an earlier run left the step "
                        + f.getPath().getName().substring(UNFINISHED.length()).replaceFirst("-[0-9a-f-]{36}$", "")
                        + " half-written; it was made again");
                fs.delete(f.getPath(), true);
            }
        }
    }

    /** What the user should know. */
    List<String> notes() {
        return notes;
    }

    boolean wasReused(String step) {
        return reused.getOrDefault(step, false);
    }

    /** What each step took that was made now. */
    Map<String, Double> seconds() {
        return seconds;
    }

    Path path(String name) {
        return new Path(folder, name);
    }

    FileSystem fileSystem() {
        return fs;
    }

    /** A digest of what something is made from. */
    static String digest(Object... of) {
        try {
            MessageDigest d = MessageDigest.getInstance("SHA-256");
            for (Object o : of) {
                d.update(String.valueOf(o).getBytes(StandardCharsets.UTF_8));
                d.update((byte) 0);
            }
            return HexFormat.of().formatHex(d.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A step's rows, as they are in its folder. */
    Dataset<Row> step(String name, String madeFrom, Supplier<Dataset<Row>> make) {
        folderStep(name, madeFrom, unfinished -> make.get()
                .write()
                // Embeddings do not get smaller; what else there is is small.
                .option("compression", "none")
                .option("parquet.enable.dictionary", "false")
                .mode("append")
                .parquet(unfinished.toString()));
        return spark.read().parquet(path(name).toString());
    }

    /** Writes into a folder. */
    interface Writing {
        void to(Path unfinished) throws IOException;
    }

    /** Whether a step is there, made from this. */
    boolean isMadeFrom(String name, String madeFrom) throws IOException {
        return madeFrom.equals(read(new Path(path(name), MADE_FROM)));
    }

    /** A step that is a folder of any files. */
    void folderStep(String name, String madeFrom, Writing writing) {
        Path place = path(name);
        try {
            boolean there = isMadeFrom(name, madeFrom);
            reused.put(name, there);
            if (there) {
                return;
            }
            long start = System.nanoTime();
            Path unfinished = path(UNFINISHED + name + "-" + UUID.randomUUID());
            fs.mkdirs(unfinished);
            writing.to(unfinished);
            write(new Path(unfinished, MADE_FROM), madeFrom);
            fs.delete(place, true);
            if (!fs.rename(unfinished, place)) {
                throw new IOException("cannot move " + unfinished + " to " + place);
            }
            seconds.put(name, (System.nanoTime() - start) / 1e9);
        } catch (IOException e) {
            throw new UserError(place + ": cannot be written: " + e.getMessage(), e);
        }
    }

    private String read(Path file) throws IOException {
        if (!fs.exists(file)) {
            return "";
        }
        try (FSDataInputStream in = fs.open(file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** A small file, complete or not at all. */
    void writeText(String name, String text) {
        try {
            Path unfinished = path(UNFINISHED + name + "-" + UUID.randomUUID());
            write(unfinished, text);
            fs.delete(path(name), false);
            if (!fs.rename(unfinished, path(name))) {
                throw new IOException("cannot move it into place");
            }
        } catch (IOException e) {
            throw new UserError(path(name) + ": cannot be written: " + e.getMessage(), e);
        }
    }

    private void write(Path file, String text) throws IOException {
        try (OutputStream out = fs.create(file, true)) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
    }
}
