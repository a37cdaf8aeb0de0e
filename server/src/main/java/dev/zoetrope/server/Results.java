package dev.zoetrope.server;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The files of jobs, a folder each. Only a name that this server itself could have given leads to one. */
final class Results {
    private static final Pattern ID = Pattern.compile("(video|image)_[0-9a-f]{32}");
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Path folder;

    Results(Path folder) {
        this.folder = folder;
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be made: " + e.getMessage(), e);
        }
    }

    /** A name that cannot be guessed. */
    static String newId(Job.Kind kind) {
        byte[] random = new byte[16];
        RANDOM.nextBytes(random);
        return kind.label() + "_" + HexFormat.of().formatHex(random);
    }

    static boolean isId(String id) {
        return ID.matcher(id).matches();
    }

    private Path of(String id) {
        if (!isId(id)) {
            throw new IllegalArgumentException("not a job's id");
        }
        return folder.resolve(id);
    }

    /** What the job made: the clip or the picture. */
    Path made(Job job) {
        return of(job.id()).resolve(job.kind() == Job.Kind.VIDEO ? "clip.mp4" : "picture.png");
    }

    /** A still of it. */
    Path thumbnail(Job job) {
        return of(job.id()).resolve("thumbnail.jpg");
    }

    /** All frames side by side. */
    Path sheet(Job job) {
        return of(job.id()).resolve("sheet.jpg");
    }

    /** The picture it starts from. */
    Path input(String id) {
        return of(id).resolve("input.png");
    }

    Optional<Path> existing(Path file) {
        return Files.isRegularFile(file) ? Optional.of(file) : Optional.empty();
    }

    void delete(String id) {
        Path all = of(id);
        if (!Files.exists(all)) {
            return;
        }
        try (Stream<Path> files = Files.walk(all)) {
            for (Path f : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(f);
            }
        } catch (IOException e) {
            throw new UserError(all + ": cannot be deleted: " + e.getMessage(), e);
        }
    }
}
