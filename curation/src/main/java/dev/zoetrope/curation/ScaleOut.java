package dev.zoetrope.curation;

import dev.zoetrope.tensor.UserError;
import java.io.Serializable;
import java.util.List;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Curation over more data than one machine holds. The module zoetrope-spark does it over Apache Spark; it is looked up, so
 * that those who do not curate need none of it.
 */
public interface ScaleOut extends AutoCloseable {
    /**
     * A core set to choose.
     *
     * @param output the folder of all steps' results
     * @param pictures the folder that the pictures' paths are relative to, for the report; null where there are none
     */
    record CoreSetJob(
            EmbeddingSource source,
            String output,
            Clustering clustering,
            Selection selection,
            @Nullable String pictures) {}

    /** A step's name and the rows it leaves. */
    record Step(String name, long rows, boolean reused) {}

    /**
     * What came of it.
     *
     * @param notes what the user should know of the data
     */
    record CoreSetSummary(List<Step> steps, List<String> notes, String result, String report) {}

    /** What a model is to do with every picture. */
    enum Work {
        EMBED,
        CAPTION,
        SEGMENT
    }

    /**
     * Pictures to be read by a model.
     *
     * @param pictures a folder, Parquet files with a column of pictures, or WebDataset tars
     * @param output the folder of the results, a file for each shard
     * @param model folder or name on the hub; null for the built-in model
     * @param batch pictures that go through the model together
     * @param shard files of a folder that make a shard; Parquet files and tars are shards as they are
     * @param prompt how captions begin; null for the default
     */
    record PictureJob(
            Work work,
            String pictures,
            String output,
            @Nullable String model,
            int batch,
            int shard,
            @Nullable String prompt)
            implements Serializable {}

    /**
     * @param shards how many there are
     * @param skipped shards that were there already
     * @param pictures that were read, those of skipped shards not counted
     * @param bad pictures that could not be read; they are listed beside the results
     * @param firstBad a few of these, with the reason
     */
    record PictureSummary(int shards, int skipped, long pictures, long bad, List<String> firstBad) {}

    CoreSetSummary coreSet(CoreSetJob job);

    PictureSummary pictures(PictureJob job);

    @Override
    void close();

    /** Makes one. */
    interface Provider {
        /**
         * @param master where it runs: {@code local[*]}, {@code spark://host:port}, {@code yarn}, {@code k8s://...}
         * @param progress is told what begins
         */
        ScaleOut open(String master, Consumer<String> progress);
    }

    /** Starts a session on a master; see {@link Provider#open}. */
    static ScaleOut open(String master, Consumer<String> progress) {
        return ServiceLoader.load(Provider.class)
                .findFirst()
                .orElseThrow(
                        () -> new UserError("this runs on Apache Spark, which is not on the class path: start it by "
                                + "./zoetrope curate, or add the module zoetrope-spark"))
                .open(master, progress);
    }
}
