package dev.zoetrope.training;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.tensor.ProcessGroup;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The folder of one training run: the recipe, and for each stage its last checkpoints and its event files. A checkpoint
 * is written aside and moved into place as a whole, so whatever stops the process, the newest one that is there is good.
 * While it is open no other process can train in it.
 */
public final class RunFolder implements AutoCloseable {
    private static final int KEPT = 2;
    private static final String STATE = "state.json";

    private final Path folder;
    private final Path written; // where files go: the folder, or a scrap of it for processes but the first
    private final @Nullable FileChannel lock;
    private final ProcessGroup group;

    private RunFolder(Path folder, Path written, @Nullable FileChannel lock, ProcessGroup group) {
        this.folder = folder;
        this.written = written;
        this.lock = lock;
        this.group = group;
    }

    /**
     * The folder as one process of several that train together sees it: the first writes, the others only read
     * checkpoints, and what else they write is thrown away.
     *
     * @param resume whether to go on with what the folder holds; otherwise it must not hold a run
     * @param listener told which settings differ from those that the run began with
     */
    public static RunFolder open(
            Path folder, Recipe recipe, boolean resume, TrainingListener listener, ProcessGroup group) {
        if (group.rank() > 0) {
            return new RunFolder(folder, folder.resolve(".process-" + group.rank()), null, group);
        }
        Path kept = folder.resolve("recipe.json");
        FileChannel lock = lock(folder);
        try {
            if (Files.exists(kept) && resume) {
                List<String> before = Files.readAllLines(kept);
                recipe.text()
                        .lines()
                        .filter(line -> !before.contains(line))
                        .forEach(line -> listener.message("changed since the run began: " + line.strip()));
            } else if (Files.exists(kept)) {
                throw new UserError(
                        folder + " holds a run already: go on with --resume, or name another folder with --run");
            }
            AtomicFile.write(kept, out -> out.write(utf8(recipe.text())));
            return new RunFolder(folder, folder, lock, group);
        } catch (IOException e) {
            close(lock);
            throw new UserError(folder + ": cannot be read: " + e.getMessage(), e);
        } catch (RuntimeException e) {
            close(lock);
            throw e;
        }
    }

    /** The operating system lets go of it however the process ends. */
    private static FileChannel lock(Path folder) {
        FileChannel channel = null;
        try {
            Files.createDirectories(folder);
            channel = FileChannel.open(folder.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            if (channel.tryLock() != null) {
                return channel;
            }
        } catch (OverlappingFileLockException e) {
            // this process trains in it
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be written: " + e.getMessage(), e);
        }
        close(channel);
        throw new UserError(
                folder + ": another training runs in this folder; stop it first, or name another with --run");
    }

    private static void close(@Nullable FileChannel lock) {
        try {
            if (lock != null) {
                lock.close();
            }
        } catch (IOException e) {
            // nothing was written to it
        }
    }

    @Override
    public void close() {
        close(lock);
        if (!written.equals(folder)) {
            try {
                delete(written);
            } catch (IOException e) {
                // it is in nobody's way
            }
        }
    }

    /** The processes that train in it. */
    public ProcessGroup group() {
        return group;
    }

    public Path path() {
        return folder;
    }

    Path events(String stage) {
        return written.resolve("events").resolve(stage);
    }

    /** A file beside the checkpoints, such as a sample sheet. */
    public Path file(String name) {
        return written.resolve(name);
    }

    /**
     * The state of a stage.
     *
     * @param step steps done
     * @param taken of these, the steps that moved the weights
     * @param tensors by part ({@code weights}, {@code optimizer}, {@code ema}) and name
     */
    public record Saved(long step, long taken, Map<String, Map<String, Tensor>> tensors) {}

    /** Keeps the newest two. If it fails, such as on a full disk, those that are there stay. */
    void save(String stage, Saved saved) {
        if (group.rank() > 0) {
            return;
        }
        Path stages = folder.resolve(stage);
        Path target = stages.resolve(String.format("step-%09d", saved.step()));
        Path aside = stages.resolve(".writing-" + saved.step());
        try {
            delete(aside);
            Files.createDirectories(aside);
            saved.tensors()
                    .forEach((part, tensors) -> Safetensors.write(aside.resolve(part + ".safetensors"), tensors));
            String state = "{\"step\": " + saved.step() + ", \"taken\": " + saved.taken() + "}\n";
            AtomicFile.write(aside.resolve(STATE), out -> out.write(utf8(state)));
            delete(target);
            Files.move(aside, target, StandardCopyOption.ATOMIC_MOVE);
            List<Path> all = checkpoints(stage);
            for (int i = 0; i < all.size() - KEPT; i++) {
                delete(all.get(i));
            }
        } catch (IOException | UserError e) {
            throw unsaved(stage, target, aside, e);
        }
    }

    private UserError unsaved(String stage, Path target, Path aside, Exception e) {
        try {
            delete(aside);
        } catch (IOException more) {
            e.addSuppressed(more);
        }
        List<Path> kept = checkpoints(stage);
        return new UserError(
                target + ": the checkpoint cannot be written: " + e.getMessage() + ". "
                        + (kept.isEmpty()
                                ? "No earlier one of this stage is there"
                                : "The last good one is " + kept.get(kept.size() - 1))
                        + "; make room and go on with --resume",
                e);
    }

    /** The newest checkpoint of a stage; null where there is none. The tensors belong to the innermost scope. */
    @Nullable
    Saved newest(String stage) {
        List<Path> all = checkpoints(stage);
        if (all.isEmpty()) {
            return null;
        }
        Path newest = all.get(all.size() - 1);
        Json state = Json.read(newest.resolve(STATE));
        long step = state.requireInt("step");
        Map<String, Map<String, Tensor>> tensors = new java.util.LinkedHashMap<>();
        for (String part : List.of("weights", "optimizer", "ema")) {
            Path file = newest.resolve(part + ".safetensors");
            if (Files.exists(file)) {
                tensors.put(part, Safetensors.read(file));
            }
        }
        return new Saved(step, state.get("taken", step), tensors);
    }

    private List<Path> checkpoints(String stage) {
        Path stages = folder.resolve(stage);
        if (!Files.isDirectory(stages)) {
            return List.of();
        }
        try (Stream<Path> s = Files.list(stages)) {
            return s.filter(p -> p.getFileName().toString().startsWith("step-"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UserError(stages + ": cannot be listed: " + e.getMessage(), e);
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void delete(Path path) throws IOException {
        if (!Files.exists(path)) {
            return;
        }
        try (Stream<Path> s = Files.walk(path)) {
            for (Path p : s.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
    }
}
