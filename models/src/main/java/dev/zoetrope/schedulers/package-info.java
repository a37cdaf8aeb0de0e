/**
 * Noise schedulers of diffusion and flow matching: how a sample is noised for training, and the steps from noise to a
 * sample. A scheduler is an immutable record read from scheduler_config.json; what changes during a run is its own object.
 */
@NullMarked
package dev.zoetrope.schedulers;

import org.jspecify.annotations.NullMarked;
