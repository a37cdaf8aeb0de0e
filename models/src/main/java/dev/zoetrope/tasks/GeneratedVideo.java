package dev.zoetrope.tasks;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A clip that a model made.
 *
 * @param clip its frames
 * @param settings how it was made: prompt, seed and all else that makes it again; written into the file
 * @param unknownWords words of the prompt that the model has never seen and went without
 * @param secondsPerStep time of one step of the solver
 */
public record GeneratedVideo(
        Clip clip, Map<String, String> settings, List<String> unknownWords, double secondsPerStep) {
    public GeneratedVideo {
        settings = java.util.Collections.unmodifiableMap(new java.util.LinkedHashMap<>(settings));
        unknownWords = List.copyOf(unknownWords);
    }

    /** Writes it; the ending decides: .mp4, .gif, .webp, .png for one frame, or a folder of PNGs. */
    public void save(Path file) {
        Clips.write(clip, file, settings);
    }

    /** Writes it enlarged. */
    public void save(Path file, Clips.Scale scale) {
        Clips.write(clip, file, settings, scale);
    }
}
