package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Tensor;

/** Where a run's fresh noise comes from: {@code random::normal}, or one generator a row. */
@FunctionalInterface
public interface Noise {
    /** Standard normal numbers, float32. */
    Tensor draw(long... shape);
}
