/** Autoencoders of pictures: continuous latents with a Gaussian posterior, and discrete ones with a codebook. */
@NullMarked
package dev.zoetrope.models.vae;

import org.jspecify.annotations.NullMarked;
