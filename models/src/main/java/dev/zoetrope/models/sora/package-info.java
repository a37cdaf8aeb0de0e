/** Sora's small sibling: a causal video autoencoder, a caption encoder and a diffusion transformer on space-time patches. */
@NullMarked
package dev.zoetrope.models.sora;

import org.jspecify.annotations.NullMarked;
