package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Finds pictures by files, folders and patterns, as a user names them. */
public final class PictureFiles {
    private static final Pattern PICTURE = Pattern.compile(".*\\.(png|jpe?g|webp|gif|bmp)", Pattern.CASE_INSENSITIVE);
    private static final Pattern SPECIAL = Pattern.compile("[*?\\[{]");

    private PictureFiles() {}

    /**
     * What the arguments stand for, each in the order of its paths.
     *
     * @param arguments files, taken as they are; folders, of which all pictures at any depth; or patterns in which
     *     {@code *} and {@code ?} stay within a name and {@code **} goes across folders
     * @throws UserError if there is no such file, or a folder or pattern has no picture
     */
    public static List<Path> of(List<String> arguments) {
        List<Path> r = new ArrayList<>();
        for (String argument : arguments) {
            r.addAll(of(argument));
        }
        return r;
    }

    private static List<Path> of(String argument) {
        Path path = path(argument);
        if (path != null && Files.isDirectory(path)) {
            List<Path> below = below(path);
            if (below.isEmpty()) {
                throw new UserError(
                        argument + ": the folder has no pictures (files that end in .png, .jpg, .jpeg, .webp,"
                                + " .gif or .bmp)");
            }
            return below;
        }
        if (path != null && Files.exists(path)) {
            return List.of(path);
        }
        if (!SPECIAL.matcher(argument).find()) {
            throw new UserError(argument + ": there is no such file or folder");
        }
        List<Path> matches = matching(argument);
        if (matches.isEmpty()) {
            throw new UserError(argument + ": no picture matches this pattern");
        }
        return matches;
    }

    private static @Nullable Path path(String argument) {
        try {
            return Path.of(argument);
        } catch (InvalidPathException e) {
            return null; // a pattern may have characters that a file's name must not have
        }
    }

    /** All pictures of a folder at any depth, in the order of their paths; links to folders are not followed. */
    public static List<Path> below(Path folder) {
        return walk(folder, file -> true);
    }

    private static List<Path> matching(String pattern) {
        int special = 0;
        while (!SPECIAL.matcher(pattern.substring(special, special + 1)).matches()) {
            special++;
        }
        int slash = pattern.lastIndexOf('/', special);
        Path root = slash < 0 ? Path.of("") : Path.of(pattern.substring(0, Math.max(slash, 1)));
        if (!Files.isDirectory(root)) {
            throw new UserError(pattern + ": there is no folder " + root);
        }
        PathMatcher matcher = root.getFileSystem().getPathMatcher("glob:" + pattern);
        return walk(root, matcher::matches);
    }

    private static List<Path> walk(Path folder, Predicate<Path> wanted) {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(f -> PICTURE.matcher(f.toString()).matches())
                    .filter(wanted)
                    .filter(Files::isRegularFile)
                    .sorted()
                    .toList();
        } catch (IOException | UncheckedIOException e) {
            throw new UserError(folder + ": the folder cannot be read: " + e.getMessage(), e);
        }
    }
}
