package dev.zoetrope.media;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes a clip frame by frame as they come, so that a long one need not be held: to .mp4 or a folder of PNG files. Other
 * formats of {@link Clips} are held until the end.
 *
 * <pre>{@code
 * try (ClipWriter writer = new ClipWriter(file, 8, metadata, Clips.Scale.NONE)) {
 *     frames.forEach(writer::add);
 *     writer.finish();
 * }
 * }</pre>
 *
 * The file appears under its name when it is finished. What is closed before that leaves nothing behind, unless
 * {@link #keepPartial} was called.
 */
public final class ClipWriter implements AutoCloseable {
    private final Path file;
    private final double fps;
    private final Map<String, String> metadata;
    private final Clips.Scale scale;
    private final Path temporary;
    private final List<Image> held = new ArrayList<>();
    private @Nullable VideoWriter video;
    private @Nullable Audio sound;
    private boolean sounds;
    private int count;
    private boolean finished;

    /** @param file whose name says the format, as {@link Clips} does it */
    public ClipWriter(Path file, double fps, Map<String, String> metadata, Clips.Scale scale) {
        Clips.requireWritable(file, 1);
        this.file = file;
        this.fps = fps;
        this.metadata = metadata;
        this.scale = scale;
        this.temporary = Outputs.temporary(file);
    }

    /** Whether sound will come, which goes between the frames of a file: they are held until then. Returns this. */
    public ClipWriter withSound() {
        sounds = true;
        return this;
    }

    /**
     * The sound of all frames.
     *
     * @return whether the file holds it; only .mp4 does
     */
    public boolean sound(Audio audio) {
        sound = audio;
        return Outputs.extension(file).equals("mp4");
    }

    /** All frames are of one size. */
    public void add(Image frame) {
        Image sized = scale.factor() == 1 ? frame : Resize.by(frame, scale.factor(), scale.filter());
        switch (sounds && Outputs.extension(file).equals("mp4") ? "held" : Outputs.extension(file)) {
            case "mp4" -> {
                if (video == null) {
                    video = VideoWriter.mp4(
                            temporary, file.toString(), sized.width(), sized.height(), fps, Clips.tags(metadata));
                }
                video.add(sized);
            }
            case "" -> {
                try {
                    Files.createDirectories(temporary);
                    Files.write(
                            temporary.resolve(String.format(Locale.ROOT, "frame-%05d.png", count)),
                            Images.png(sized, metadata));
                } catch (IOException e) {
                    throw new UserError(file + ": cannot be written (" + e + ")", e);
                }
            }
            default -> held.add(sized);
        }
        count++;
    }

    /** Frames so far. */
    public int count() {
        return count;
    }

    /** Completes the file and puts it in place. */
    public void finish() {
        finish(file);
    }

    /**
     * Completes what there is under a name of its own, {@code clip.partial.mp4}.
     *
     * @return the name, or null where there is no frame yet
     */
    public @Nullable Path keepPartial() {
        if (count == 0) {
            return null;
        }
        String name = String.valueOf(file.getFileName());
        int dot = name.lastIndexOf('.');
        Path partial = file.resolveSibling(
                Clips.isFolder(file) ? name + "-partial" : name.substring(0, dot) + ".partial" + name.substring(dot));
        finish(partial);
        return partial;
    }

    private void finish(Path target) {
        if (count == 0) {
            throw new UserError(file + ": there are no frames to write");
        }
        if (!held.isEmpty()) {
            Clips.write(new Clip(List.copyOf(held), fps, sound), target, metadata);
        } else {
            if (video != null) {
                video.finish();
                video.close();
                video = null;
            }
            try {
                Outputs.move(temporary, target);
            } catch (IOException e) {
                throw new UserError(target + ": cannot be written (" + e + ")", e);
            }
        }
        finished = true;
    }

    @Override
    public void close() {
        if (video != null) {
            video.close();
            video = null;
        }
        if (!finished) {
            Outputs.delete(temporary);
        }
    }
}
