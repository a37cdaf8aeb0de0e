package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.CaptionedPictures;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Single pictures of one size, what is said of them, and their classes, batch by batch. What a batch holds follows from its number. */
public interface PictureData extends AutoCloseable {
    Pattern SIZE = Pattern.compile("(\\d{1,5})x(\\d{1,5})");

    /**
     * @param values pictures {@code [B, 3, H, W]} in -1..1, or their latents
     * @param captions one each; empty where nothing is said
     * @param labels places in {@link #classes}; 0 where there are none
     */
    record Batch(Tensor values, List<String> captions, List<Integer> labels) {
        /** {@code [B]} INT64. */
        Tensor labelled() {
            return Tensor.of(labels.stream().mapToLong(Integer::longValue).toArray(), labels.size());
        }

        Batch with(Tensor other) {
            return new Batch(other, captions, labels);
        }
    }

    /** Batches of latents. */
    interface Latents extends AutoCloseable {
        Batch batch(Trainer.Share share);

        @Override
        void close();
    }

    /**
     * What a recipe's {@code data} says: pictures of the world, or of a {@code path} with what people keep.
     *
     * @param j {@code size, batch}; and for the world which {@code objects} in which {@code styles} and {@code poses},
     *     for a path whether pictures are mirrored at random by {@code flip}
     * @param train for latents of the world {@code pool} and {@code uses}
     */
    static PictureData of(Json j, Json train, long seed, TrainingListener listener) {
        Matcher size = SIZE.matcher(j.get("size", "32x32"));
        if (!size.matches()) {
            throw new UserError(j.name() + ": size " + j.get("size", "") + " is not WIDTHxHEIGHT, such as 32x32");
        }
        int width = Integer.parseInt(size.group(1));
        int height = Integer.parseInt(size.group(2));
        int batch = j.get("batch", 32);
        Check.positive(width, "width");
        Check.positive(height, "height");
        Check.positive(batch, "batch");
        if (!j.has("path")) {
            return new WorldData(j, train, seed, new Shape(width, height, batch));
        }
        CaptionedPictures all = CaptionedPictures.open(Path.of(j.require("path")));
        return new FileData(all, j.get("flip", false), seed, new Shape(width, height, batch), listener);
    }

    /** What all batches have in common. */
    record Shape(int width, int height, int batch) {}

    Shape shape();

    /** Names of the classes. */
    List<String> classes();

    /** All words of the captions, in small letters. */
    Set<String> words();

    /** What a share learns from. Safe for several threads. */
    Batch batch(Trainer.Share share);

    /** The same few always, where possible none of those trained on. */
    Batch shown(int count);

    /** Batches encoded, without gradients. */
    Latents latents(UnaryOperator<Tensor> encoder);

    /** What a run ought to know about the data at its end; empty where there is nothing to tell. */
    default Map<String, Object> remarks() {
        return Map.of();
    }

    @Override
    void close();
}
