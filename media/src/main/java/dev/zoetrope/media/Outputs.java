package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.Locale;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * What {@link dev.zoetrope.checkpoint.AtomicFile} is for streams, for writers that want a path: native libraries, and
 * folders.
 */
final class Outputs {

    private Outputs() {}

    /** What follows the last dot of the name, in lower case; empty without a dot. */
    static String extension(Path file) {
        Path name = file.getFileName();
        String text = name == null ? "" : name.toString();
        int dot = text.lastIndexOf('.');
        return dot <= 0 ? "" : text.substring(dot + 1).toLowerCase(Locale.ROOT);
    }

    /** Something that writes a file or fills a folder. */
    interface Writer {
        void write(Path temporary) throws IOException;
    }

    /**
     * Lets the writer write to a sibling of the target and moves that into place. A folder takes the place of one of the same
     * name only if that is empty.
     */
    static void write(Path target, Writer writer) {
        Path temporary = temporary(target);
        try {
            writer.write(temporary);
            move(temporary, target);
        } catch (IOException e) {
            throw new UserError(target + ": cannot be written (" + e + ")", e);
        } finally {
            delete(temporary);
        }
    }

    /** A name beside the target, in a folder that is there, for what is not complete yet. */
    static Path temporary(Path target) {
        Path parent = target.toAbsolutePath().getParent();
        if (parent == null || target.getFileName() == null) {
            throw new UserError(target + ": cannot be written: it names no file");
        }
        try {
            Files.createDirectories(parent);
        } catch (IOException e) {
            throw new UserError(target + ": cannot be written (" + e + ")", e);
        }
        // The extension stays at the end, because writers choose their format by it.
        return parent.resolve("." + UUID.randomUUID() + ".partial-" + target.getFileName());
    }

    /** Refuses a target that {@link #write} could not put in place, before there is anything to write. */
    static void requireWritable(Path target, boolean folder) {
        if (target.getFileName() == null) {
            throw new UserError(target + ": cannot be written: it names no file");
        }
        if (Files.isDirectory(target)) {
            if (!folder) {
                throw new UserError(target + ": is a folder, expected the name of a file to write");
            }
            if (!isEmpty(target)) {
                throw new UserError(target + ": is a folder that is not empty; name a new one");
            }
        } else if (folder && Files.exists(target)) {
            throw new UserError(target + ": is a file, expected the name of a folder to write");
        }
        Path above = target.toAbsolutePath().getParent();
        while (above != null && Files.notExists(above)) {
            above = above.getParent();
        }
        if (above == null || !Files.isDirectory(above) || !Files.isWritable(above)) {
            throw new UserError(target + ": cannot be written: " + above
                    + (above != null && Files.isDirectory(above) ? " is not writable" : " is not a folder"));
        }
    }

    private static boolean isEmpty(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.findAny().isEmpty();
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read (" + e + ")", e);
        }
    }

    static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    static void delete(Path path) {
        if (!Files.exists(path)) {
            return;
        }
        try (Stream<Path> below = Files.walk(path)) {
            for (Path each : below.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(each);
            }
        } catch (IOException e) {
            // The failure that led here is what the user has to hear of, not this one.
            return;
        }
    }
}
