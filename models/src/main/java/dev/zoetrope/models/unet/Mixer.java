package dev.zoetrope.models.unet;

import dev.zoetrope.tensor.Tensor;

/** A part of a level that keeps the picture's size and may look at what steers the network. */
@FunctionalInterface
interface Mixer {
    /** {@code [B, C, H, W] -> [B, C, H, W]}. */
    Tensor forward(Tensor x, Pass.Steering steering);
}
