package dev.zoetrope.server;

import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.PictureFiles;
import dev.zoetrope.media.Resize;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** Folders of pictures that the studio may show: by names made here, never by paths. */
final class Pictures {
    private static final long FRESH_NANOS = 5_000_000_000L;
    private static final int LARGEST = 2048;

    private final Map<String, Folder> folders = new LinkedHashMap<>();

    Pictures(List<Path> paths) {
        for (Path p : paths) {
            if (!Files.isDirectory(p)) {
                throw new UserError(p + ": there is no such folder");
            }
            Path real = real(p);
            folders.put(id(real.toString()), new Folder(id(real.toString()), real));
        }
    }

    private static Path real(Path p) {
        try {
            return p.toRealPath();
        } catch (IOException e) {
            throw new UserError(p + ": cannot be read: " + e.getMessage(), e);
        }
    }

    static String id(String text) {
        return UUID.nameUUIDFromBytes(text.getBytes(StandardCharsets.UTF_8)).toString();
    }

    /** A folder and the pictures in it, which are looked for again after a while. */
    static final class Folder {
        private final String id;
        private final Path path;
        private Map<String, Path> files = Map.of();
        private long read = Long.MIN_VALUE;

        private Folder(String id, Path path) {
            this.id = id;
            this.path = path;
        }

        String id() {
            return id;
        }

        Path path() {
            return path;
        }

        String name() {
            return String.valueOf(path.getFileName());
        }

        /** Pictures by their names here. */
        synchronized Map<String, Path> files() {
            long now = System.nanoTime();
            if (read == Long.MIN_VALUE || now - read > FRESH_NANOS) {
                Map<String, Path> found = new LinkedHashMap<>();
                for (Path file : PictureFiles.below(path)) {
                    if (real(file).startsWith(path)) { // a link may lead out
                        found.put(of(file), file);
                    }
                }
                files = found;
                read = now;
            }
            return files;
        }

        /** What a file is called here. */
        String of(Path file) {
            return Pictures.id(path.relativize(file).toString());
        }
    }

    List<Folder> all() {
        return List.copyOf(folders.values());
    }

    Folder folder(String id) {
        Folder f = folders.get(id);
        if (f == null) {
            throw ApiError.notFound("not_found", "there is no such folder");
        }
        return f;
    }

    Path file(String folder, String id) {
        Path file = folder(folder).files().get(id);
        if (file == null) {
            throw ApiError.notFound("not_found", "there is no such picture any more");
        }
        return file;
    }

    /** A picture as JPEG, made smaller if a side is longer than that. */
    static byte[] jpeg(Path file, int side) {
        Image image = Images.read(file);
        int most = Math.min(side, LARGEST);
        int longest = Math.max(image.width(), image.height());
        if (longest > most) {
            int width = Math.max(1, (int) Math.round((double) image.width() * most / longest));
            int height = Math.max(1, (int) Math.round((double) image.height() * most / longest));
            image = Resize.to(image, width, height, Filter.BICUBIC);
        }
        return Images.jpeg(image, 90);
    }
}
