/** Diffusion transformers over patches of image latents. */
@NullMarked
package dev.zoetrope.models.dit;

import org.jspecify.annotations.NullMarked;
