/** Training of models of pictures: DDPM, autoencoders, and latent diffusion with text. */
@NullMarked
package dev.zoetrope.training.pictures;

import org.jspecify.annotations.NullMarked;
