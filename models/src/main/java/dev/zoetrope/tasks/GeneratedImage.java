package dev.zoetrope.tasks;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A picture that a model made.
 *
 * @param settings how it was made: prompt, seed and all else that makes it again; written into the file
 * @param seed of this picture
 * @param notes what was done to the request to make it fit the model
 */
public record GeneratedImage(Image image, Map<String, String> settings, long seed, List<String> notes) {
    public GeneratedImage {
        settings = Collections.unmodifiableMap(new LinkedHashMap<>(settings));
        notes = List.copyOf(notes);
    }

    /** Writes it; into PNG files with its settings, one text each and the line that other tools of the field read. */
    public void save(Path file) {
        Map<String, String> text = new LinkedHashMap<>();
        text.put("parameters", line());
        text.putAll(settings);
        Images.write(image, file, text);
    }

    /** The settings in the form of the first web interface for Stable Diffusion. */
    private String line() {
        StringBuilder r = new StringBuilder(settings.getOrDefault("prompt", ""));
        String negative = settings.get("negative_prompt");
        if (negative != null) {
            r.append("\nNegative prompt: ").append(negative);
        }
        r.append("\nSteps: ").append(settings.get("steps"));
        r.append(", Sampler: ").append(settings.get("scheduler"));
        r.append(", CFG scale: ").append(settings.get("guidance_scale"));
        r.append(", Seed: ").append(seed);
        r.append(", Size: ").append(image.width()).append('x').append(image.height());
        r.append(", Model: ").append(settings.get("model"));
        return r.toString();
    }
}
