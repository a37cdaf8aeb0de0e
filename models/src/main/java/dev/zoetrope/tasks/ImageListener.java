package dev.zoetrope.tasks;

import dev.zoetrope.media.Image;
import java.util.List;
import java.util.function.Supplier;

/** Told how far a picture is, or the frames of a clip. */
@FunctionalInterface
public interface ImageListener {
    /** Sees nothing and never stops. */
    ImageListener NONE = (step, steps, preview) -> true;

    /**
     * @param step calls of the network done, for the batch at hand
     * @param steps calls in all
     * @param preview what the pictures look like now, small and rough; costs a little where it is asked for.
     *     Of clips the frames that are at work; none where a model has no cheap way to show them
     * @return whether to go on; false makes the task throw {@link java.util.concurrent.CancellationException}
     */
    boolean step(int step, int steps, Supplier<List<Image>> preview);
}
