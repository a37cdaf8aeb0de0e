package dev.zoetrope.tasks;

import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.tensor.UserError;
import org.jspecify.annotations.Nullable;

/**
 * Pictures that are wanted.
 *
 * @param settings prompt, size, steps and guidance
 * @param label a class, of models that draw classes; empty for none
 * @param scheduler one of {@link dev.zoetrope.schedulers.Samplers}; null for the model's own
 * @param seed of the first picture; those after it have the seeds that follow, and each is what it would be alone
 */
public record ImageRequest(Settings settings, String label, @Nullable String scheduler, long seed) {
    private static final int LONGEST = 4000;
    private static final int MOST_STEPS = 1000;
    private static final int LARGEST = 8192;

    public ImageRequest {
        if (settings.prompt().length() > LONGEST) {
            throw new UserError(
                    "the prompt has " + settings.prompt().length() + " characters; at most " + LONGEST + " are read");
        }
        if (settings.steps() > MOST_STEPS) {
            throw new UserError("steps " + settings.steps() + " is not between 1 and " + MOST_STEPS);
        }
        if (Math.max(settings.width(), settings.height()) > LARGEST) {
            throw new UserError("a picture of " + settings.width() + " x " + settings.height()
                    + " is too large; at most " + LARGEST + " pixels a side");
        }
        if (!(settings.guidance() >= 0 && settings.guidance() <= 100)) {
            throw new UserError("guidance " + settings.guidance() + " is not between 0 and 100");
        }
    }

    public static ImageRequest of(Settings settings) {
        return new ImageRequest(settings, "", null, 0);
    }

    public ImageRequest with(Settings value) {
        return new ImageRequest(value, label, scheduler, seed);
    }

    public ImageRequest withLabel(String value) {
        return new ImageRequest(settings, value, scheduler, seed);
    }

    public ImageRequest withScheduler(@Nullable String value) {
        return new ImageRequest(settings, label, value, seed);
    }

    public ImageRequest withSeed(long value) {
        return new ImageRequest(settings, label, scheduler, value);
    }
}
