package dev.zoetrope.media;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Moving pictures, with sound or without. A single picture is a clip of one frame.
 *
 * @param frames at least one, all of one size, in the order in which they are shown
 * @param fps frames a second, above 0
 * @param audio the sound that starts with the first frame, or null
 */
public record Clip(List<Image> frames, double fps, @Nullable Audio audio) {

    public Clip {
        frames = List.copyOf(frames);
        if (frames.isEmpty()) {
            throw new IllegalArgumentException("clip: no frames, at least 1 is needed");
        }
        if (!(fps > 0 && fps < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("clip: " + fps + " frames a second, must be above 0");
        }
        Image first = frames.get(0);
        for (int i = 1; i < frames.size(); i++) {
            Image frame = frames.get(i);
            if (frame.width() != first.width() || frame.height() != first.height()) {
                throw new IllegalArgumentException("clip: frame " + i + " is " + frame.width() + "x" + frame.height()
                        + ", frame 0 is " + first.width() + "x" + first.height() + "; all must have one size");
            }
        }
    }

    /** Moving pictures without sound. */
    public Clip(List<Image> frames, double fps) {
        this(frames, fps, null);
    }

    public int width() {
        return frames.get(0).width();
    }

    public int height() {
        return frames.get(0).height();
    }

    public double seconds() {
        return frames.size() / fps;
    }
}
