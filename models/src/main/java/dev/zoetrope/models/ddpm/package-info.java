/** Denoising diffusion of pixels. */
@NullMarked
package dev.zoetrope.models.ddpm;

import org.jspecify.annotations.NullMarked;
