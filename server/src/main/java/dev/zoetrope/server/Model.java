package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.Classify;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A model that is served; its weights are in memory only while {@link Models} lets them be. */
final class Model implements AutoCloseable {
    private static final int BYTES_A_WEIGHT = 4;

    private final String id;
    private final Path folder;
    private final Set<Ability> abilities;
    private final long bytes;
    private final Lane lane;
    private final Instant created;

    // Of Models, under its lock.
    private @Nullable AutoCloseable loaded;
    private boolean reserved;
    private int users;
    private long lastUse;

    Model(String id, Path folder, Limits limits) {
        this.id = id;
        this.folder = folder;
        this.abilities = Ability.of(folder);
        this.bytes = bytes(folder);
        this.lane = new Lane(id, limits.waiting(), limits.time());
        this.created = created(folder);
    }

    private static Instant created(Path folder) {
        try {
            return Files.getLastModifiedTime(folder).toInstant();
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /** What the weights take in float32. */
    private static long bytes(Path folder) {
        Map<Path, List<Path>> found = new LinkedHashMap<>();
        try (Stream<Path> all = Files.walk(folder)) {
            all.filter(Files::isRegularFile)
                    .filter(f -> isWeights(f.getFileName().toString()))
                    .forEach(f -> found.computeIfAbsent(f.getParent(), p -> new ArrayList<>())
                            .add(f));
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read: " + e.getMessage(), e);
        }
        long sum = 0;
        for (List<Path> files : found.values()) {
            boolean safe = files.stream().anyMatch(f -> f.toString().endsWith(".safetensors"));
            for (Path f : files) {
                if (!safe || f.toString().endsWith(".safetensors")) { // the other files say the same again
                    sum += weights(f) * BYTES_A_WEIGHT;
                }
            }
        }
        return sum;
    }

    private static boolean isWeights(String name) {
        return name.endsWith(".safetensors") || name.endsWith(".bin") || name.endsWith(".pth");
    }

    private static long weights(Path file) {
        try (Checkpoint c = Checkpoint.open(file)) {
            long sum = 0;
            for (String key : c.keys()) {
                long n = 1;
                for (long side : c.shape(key)) {
                    n *= side;
                }
                sum += n;
            }
            return sum;
        }
    }

    String id() {
        return id;
    }

    Path folder() {
        return folder;
    }

    Set<Ability> abilities() {
        return abilities;
    }

    /** What the weights take when they are loaded. */
    long bytes() {
        return bytes;
    }

    Lane lane() {
        return lane;
    }

    Instant created() {
        return created;
    }

    private AutoCloseable open() {
        if (abilities.contains(Ability.VIDEO)) {
            return TextToVideo.load(folder);
        }
        if (abilities.contains(Ability.IMAGE)) {
            return TextToImage.load(folder);
        }
        if (abilities.contains(Ability.EMBEDDING)) {
            return Embed.load(folder);
        }
        if (abilities.contains(Ability.CLASSIFICATION)) {
            return Classify.load(folder);
        }
        return abilities.contains(Ability.SEGMENTATION) ? new Desks(Segment.load(folder)) : Chat.load(folder);
    }

    /** The model in memory; loaded by the first who asks. */
    synchronized AutoCloseable instance() {
        AutoCloseable it = loaded;
        if (it == null) {
            it = open();
            loaded = it;
        }
        return it;
    }

    boolean isReserved() {
        return reserved;
    }

    void reserve(boolean value) {
        reserved = value;
    }

    int users() {
        return users;
    }

    void use(int more) {
        users += more;
        lastUse = System.nanoTime();
    }

    long lastUse() {
        return lastUse;
    }

    /** Frees the weights. */
    synchronized void unload() {
        AutoCloseable it = loaded;
        loaded = null;
        if (it != null) {
            try {
                it.close();
            } catch (Exception e) {
                throw new IllegalStateException(id + " cannot be closed", e);
            }
        }
    }

    @Override
    public void close() {
        lane.close();
        unload();
    }
}
