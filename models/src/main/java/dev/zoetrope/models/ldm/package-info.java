/** Latent diffusion: Stable Diffusion 1.x, 2.x and XL with all that they are used for, and latent diffusion without text. */
@NullMarked
package dev.zoetrope.models.ldm;

import org.jspecify.annotations.NullMarked;
