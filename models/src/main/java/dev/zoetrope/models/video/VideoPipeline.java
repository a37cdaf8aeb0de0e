package dev.zoetrope.models.video;

import dev.zoetrope.models.video.VideoRequest.Defaults;
import dev.zoetrope.schedulers.Noise;
import dev.zoetrope.tensor.Tensor;

/** A text encoder, a denoising network and a video autoencoder that make videos together. */
public interface VideoPipeline extends AutoCloseable {
    Defaults defaults();

    /** The number of frames nearest to a wanted one that it can make. */
    int nearestFrames(int wanted);

    /** Refuses what it cannot make, by {@link dev.zoetrope.tensor.UserError}. */
    void check(VideoRequest request);

    /**
     * Makes a video.
     *
     * @param noise standard normal numbers; drawn in the order in which the reference draws, so that a seed means the
     *     same
     * @return {@code [1, 3, T, H, W]} in -1..1, owned by the innermost scope
     * @throws java.util.concurrent.CancellationException when the listener says stop
     */
    Tensor sample(VideoRequest request, Noise noise, Listener listener);

    @Override
    void close();

    /** Told after each step of the scheduler. */
    @FunctionalInterface
    interface Listener {
        /**
         * @param step steps done
         * @param steps steps in all
         * @param prediction what the network answered, guided
         * @param latents after the step
         * @return whether to go on
         */
        boolean step(int step, int steps, Tensor prediction, Tensor latents);

        /** Throws where the listener says stop. */
        default void tell(int step, int steps, Tensor prediction, Tensor latents) {
            if (!step(step, steps, prediction, latents)) {
                throw new java.util.concurrent.CancellationException("stopped after step " + step);
            }
        }
    }
}
