package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.PictureFiles;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;

/**
 * Finds the pictures of a folder that fit a sentence or another picture. Their vectors are kept in an index on disk, so
 * that only new and changed pictures are read again.
 *
 * <pre>{@code
 * try (var search = ImageSearch.open(Path.of("photos"), Path.of("photos.index"), Embed.load(folder))) {
 *     search.update(Progress.NONE);
 *     search.find("two dogs", 10).forEach(System.out::println);
 * }
 * }</pre>
 */
public final class ImageSearch implements AutoCloseable {
    private static final int BATCH = 16;

    /** @param similarity cosine of the angle between picture and question, -1 to 1 */
    public record Hit(Path file, double similarity) {}

    /** A picture that cannot be read, and why. */
    public record Failure(Path file, String reason) {}

    /** What an update did. */
    public record Update(int added, int removed, int unchanged, List<Failure> failures) {}

    private final Path folder;
    private final Embed model;
    private final VectorIndex index;
    private final boolean owner;

    private ImageSearch(Path folder, Embed model, VectorIndex index, boolean owner) {
        this.folder = folder;
        this.model = model;
        this.index = index;
        this.owner = owner;
    }

    /**
     * Opens the index of a folder, or begins one; it is not updated yet.
     *
     * @param index folder of the index
     * @param model is taken over and closed with the search
     * @throws UserError if the index was made by another model
     */
    public static ImageSearch open(Path folder, Path index, Embed model) {
        try {
            return make(folder, index, model, true);
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    /** The same with a model that stays its owner's. */
    public static ImageSearch with(Path folder, Path index, Embed model) {
        return make(folder, index, model, false);
    }

    private static ImageSearch make(Path folder, Path index, Embed model, boolean owner) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(folder + ": there is no such folder to search in");
        }
        String made = "the model " + model.name() + " (" + model.width() + " numbers)";
        return new ImageSearch(folder, model, VectorIndex.open(index, made), owner);
    }

    /**
     * Brings the index up to date with the folder. A picture that cannot be read is reported and left out.
     *
     * @param progress told after each batch; when it says stop, what was done is kept
     * @throws CancellationException when progress says stop
     */
    public Update update(Progress progress) {
        List<Path> files = PictureFiles.below(folder);
        Map<String, String> gone = index.stamps();
        List<Path> fresh = new ArrayList<>();
        for (Path file : files) {
            if (!stamp(file).equals(gone.remove(key(file)))) {
                fresh.add(file);
            }
        }
        List<Failure> failures = new ArrayList<>();
        int added = 0;
        if (!fresh.isEmpty() || !gone.isEmpty()) {
            try (VectorIndex.Changes changes = index.change()) {
                for (String key : gone.keySet()) {
                    changes.remove(key);
                }
                for (int i = 0; i < fresh.size(); i += BATCH) {
                    List<Path> batch = fresh.subList(i, Math.min(fresh.size(), i + BATCH));
                    added += add(changes, batch, failures);
                    if (!progress.step(i + batch.size(), fresh.size())) {
                        changes.commit();
                        throw new CancellationException("stopped after " + added + " pictures");
                    }
                }
                changes.commit();
            } catch (IOException e) {
                throw new UserError(folder + ": the index of this folder cannot be written: " + e.getMessage(), e);
            }
        }
        return new Update(added, gone.size(), files.size() - fresh.size(), List.copyOf(failures));
    }

    private int add(VectorIndex.Changes changes, List<Path> batch, List<Failure> failures) throws IOException {
        Map<Path, Image> read = new LinkedHashMap<>();
        for (Path file : batch) {
            try {
                read.put(file, Images.read(file));
            } catch (UserError e) {
                failures.add(new Failure(file, String.valueOf(e.getMessage())));
                changes.remove(key(file));
            }
        }
        float[][] vectors = model.images(List.copyOf(read.values()));
        int row = 0;
        for (Path file : read.keySet()) {
            changes.put(key(file), stamp(file), vectors[row++]);
        }
        return read.size();
    }

    private String key(Path file) {
        return folder.relativize(file).toString().replace('\\', '/');
    }

    private static String stamp(Path file) {
        try {
            return Files.size(file) + " " + Files.getLastModifiedTime(file).toMillis();
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /** How many pictures the index holds. */
    public int size() {
        return index.size();
    }

    /** The pictures that fit a sentence best, the best first. */
    public List<Hit> find(String text, int k) {
        return find(model.text(text), k);
    }

    /** The pictures that are most alike, the most alike first. */
    public List<Hit> find(Image image, int k) {
        return find(model.image(image), k);
    }

    private List<Hit> find(float[] vector, int k) {
        Check.positive(k, "number of pictures asked for");
        return index.find(vector, k).stream()
                .map(f -> new Hit(folder.resolve(f.key()), f.product()))
                .toList();
    }

    @Override
    public void close() {
        try {
            index.close();
        } finally {
            if (owner) {
                model.close();
            }
        }
    }
}
