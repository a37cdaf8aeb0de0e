package dev.zoetrope.training.diffusion;

import dev.zoetrope.tensor.Tensor;

/** A network in training, with its conditions at hand. */
@FunctionalInterface
public interface Denoiser {
    /**
     * @param noisy {@code [B, C, ...]}
     * @param timesteps {@code [B]}, as the network reads them
     */
    Tensor forward(Tensor noisy, Tensor timesteps);
}
