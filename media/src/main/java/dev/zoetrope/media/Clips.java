package dev.zoetrope.media;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Reads and writes moving pictures. The name says how a clip is written: .mp4 (H.264, and AAC where there is sound), .gif,
 * .webp, .png and .jpg (a single frame), or a folder of numbered PNG files (a name without extension). A file or folder appears under its name only when it is complete.
 */
public final class Clips {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String KNOWN = "known are .mp4, .gif, .webp, .png and .jpg for one frame, and a name without"
            + " extension for a folder of PNG files";

    /** Frames a second of a folder of pictures, which does not say. */
    private static final double FOLDER_FPS = 8;

    private Clips() {}

    /**
     * How frames are enlarged before they are written: small ones lose their colours' edges in video formats, which share
     * colours between pixels.
     *
     * @param factor by which both sides grow, at least 1
     * @param filter {@link Filter#NEAREST} keeps the pixels visible, {@link Filter#LANCZOS} is smooth
     */
    public record Scale(int factor, Filter filter) {
        public static final Scale NONE = new Scale(1, Filter.NEAREST);

        public Scale {
            if (factor < 1) {
                throw new UserError("scale factor " + factor + ", must be at least 1");
            }
        }
    }

    /**
     * Which frames are read.
     *
     * @param frames at most how many
     * @param spread whether these are spread evenly over the whole, first and last frame included, or are the first ones
     */
    public record Limits(int frames, boolean spread) {

        /** Every frame there is. */
        public static final Limits ALL = new Limits(Integer.MAX_VALUE, false);

        /** Pixels of all frames together: 1.6 GB of samples. */
        private static final long MAX_PIXELS = 1L << 29;

        public Limits {
            if (frames < 1) {
                throw new UserError("at most " + frames + " frames are to be read, must be at least 1");
            }
        }

        public static Limits first(int frames) {
            return new Limits(frames, false);
        }

        public static Limits spread(int frames) {
            return new Limits(frames, true);
        }

        /** Whether a frame is wanted, when so many are taken already of those available. */
        boolean takes(long index, int taken, int available) {
            if (!spread || available <= frames) {
                return true;
            }
            return index == (frames == 1 ? 0 : (long) taken * (available - 1) / (frames - 1));
        }

        void check(String name, long count, int width, int height) {
            if (count * width * height > MAX_PIXELS) {
                throw new UserError(
                        name + ": " + count + " frames of " + width + "x" + height + " have more than " + MAX_PIXELS
                                + " pixels, which is too much to hold; read fewer frames or make them smaller first");
            }
        }
    }

    /** Writes a clip as it is, without metadata. */
    public static void write(Clip clip, Path file) {
        write(clip, file, Map.of());
    }

    /** Writes a clip as it is. */
    public static void write(Clip clip, Path file, Map<String, String> metadata) {
        write(clip, file, metadata, Scale.NONE);
    }

    /**
     * Writes a clip.
     *
     * @param metadata what the file says of itself. PNG files have a text chunk for each key; other formats have a title and
     *     a comment, which is the metadata's own or all of it as JSON
     * @throws UserError if the name's extension is not known, or the file cannot be written
     */
    public static void write(Clip clip, Path file, Map<String, String> metadata, Scale scale) {
        Clip scaled = scale.factor == 1 ? clip : scaled(clip, scale);
        String extension = Outputs.extension(file);
        switch (extension) {
            case "mp4" ->
                Outputs.write(file, temporary -> VideoWriter.mp4(scaled, temporary, file.toString(), tags(metadata)));
            case "webp" ->
                Outputs.write(file, temporary -> {
                    VideoWriter.webp(scaled, temporary, file.toString());
                    if (!metadata.isEmpty()) {
                        Files.write(
                                temporary, Webp.described(Files.readAllBytes(temporary), scaled, comment(metadata)));
                    }
                });
            case "gif" -> {
                byte[] gif = Gif.write(scaled, metadata.isEmpty() ? "" : comment(metadata), file.toString());
                AtomicFile.write(file, out -> out.write(gif));
            }
            case "png", "jpg", "jpeg" -> Images.write(single(scaled, file), file, metadata);
            case "" -> Outputs.write(file, temporary -> folder(scaled, temporary, metadata));
            default -> throw unknown(file);
        }
    }

    /** Whether a clip of this name is written as a folder of PNG files. */
    public static boolean isFolder(Path file) {
        return Outputs.extension(file).isEmpty();
    }

    /**
     * Refuses early what {@link #write} would refuse later.
     *
     * @param frames of the clip to come
     * @throws UserError if the name's extension is not known or not for so many frames, or nothing can be written there
     */
    public static void requireWritable(Path file, int frames) {
        switch (Outputs.extension(file)) {
            case "mp4", "webp", "gif", "" -> {}
            case "png", "jpg", "jpeg" -> requireSingle(frames, file);
            default -> throw unknown(file);
        }
        Outputs.requireWritable(file, isFolder(file));
    }

    private static UserError unknown(Path file) {
        return new UserError(file + ": a clip cannot be written as ." + Outputs.extension(file) + "; " + KNOWN);
    }

    private static Clip scaled(Clip clip, Scale scale) {
        List<Image> frames = clip.frames().stream()
                .map(frame -> Resize.by(frame, scale.factor, scale.filter))
                .toList();
        return new Clip(frames, clip.fps(), clip.audio());
    }

    private static Image single(Clip clip, Path file) {
        requireSingle(clip.frames().size(), file);
        return clip.frames().get(0);
    }

    private static void requireSingle(int frames, Path file) {
        if (frames != 1) {
            throw new UserError(file + ": a clip of " + frames
                    + " frames cannot be written as one picture; leave the extension out for a folder of PNG files");
        }
    }

    private static void folder(Clip clip, Path folder, Map<String, String> metadata) throws IOException {
        Files.createDirectory(folder);
        for (int i = 0; i < clip.frames().size(); i++) {
            Files.write(
                    folder.resolve(String.format(Locale.ROOT, "frame-%05d.png", i)),
                    Images.png(clip.frames().get(i), metadata));
        }
    }

    /** Title and comment, as containers have them. */
    static Map<String, String> tags(Map<String, String> metadata) {
        Map<String, String> tags = new LinkedHashMap<>();
        if (metadata.containsKey("title")) {
            tags.put("title", metadata.get("title"));
        }
        if (!metadata.isEmpty()) {
            tags.put("comment", comment(metadata));
        }
        return tags;
    }

    static String comment(Map<String, String> metadata) {
        try {
            return metadata.containsKey("comment") ? metadata.get("comment") : JSON.writeValueAsString(metadata);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("metadata of texts is JSON", e);
        }
    }

    /** Reads every frame of a video, an animation, a picture or a folder of pictures. */
    public static Clip read(Path file) {
        return read(file, Limits.ALL);
    }

    /**
     * Reads frames of a video, an animation, a picture or a folder of pictures. Frames that are spread come without sound,
     * and their rate is as much lower as they are fewer.
     *
     * @throws UserError if there is nothing to read, or what there is cannot be understood or held
     */
    public static Clip read(Path file, Limits limits) {
        if (Files.isDirectory(file)) {
            return readFolder(file, limits);
        }
        byte[] start = start(file);
        if (Webp.is(start)) {
            return Webp.read(Images.bytes(file), file.toString(), limits);
        }
        return Png.is(start) || Jpeg.is(start)
                ? new Clip(List.of(Images.read(file)), FOLDER_FPS)
                : VideoReader.read(file, limits);
    }

    /** The first bytes, by which a file is known. */
    private static byte[] start(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return in.readNBytes(16);
        } catch (NoSuchFileException e) {
            throw new UserError(file + ": no such file", e);
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read (" + e + ")", e);
        }
    }

    private static Clip readFolder(Path folder, Limits limits) {
        List<Path> files;
        try (Stream<Path> entries = Files.list(folder)) {
            files = entries.filter(f -> List.of("png", "jpg", "jpeg").contains(Outputs.extension(f)))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UserError(folder + ": cannot be read (" + e + ")", e);
        }
        if (files.isEmpty()) {
            throw new UserError(folder + ": no .png or .jpg files in this folder");
        }
        List<Image> frames = new ArrayList<>();
        for (int i = 0; i < files.size() && frames.size() < limits.frames; i++) {
            if (limits.takes(i, frames.size(), files.size())) {
                Image frame = Images.read(files.get(i));
                limits.check(folder.toString(), frames.size() + 1, frame.width(), frame.height());
                frames.add(frame);
            }
        }
        double kept = limits.spread ? (double) frames.size() / files.size() : 1;
        return new Clip(frames, FOLDER_FPS * kept);
    }

    /** What a file says of itself: text chunks by their keys, or title and comment; empty for formats that say nothing. */
    public static Map<String, String> metadata(Path file) {
        byte[] start = start(file);
        if (Png.is(start)) {
            return Images.text(file);
        }
        if (Webp.is(start)) {
            String description = Webp.description(Images.bytes(file));
            return description == null ? Map.of() : Map.of("comment", description);
        }
        return Jpeg.is(start) ? Map.of() : VideoReader.metadata(file);
    }
}
