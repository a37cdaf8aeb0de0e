/** CogVideoX: a transformer over text and video tokens together, and the causal video autoencoder of its latents. */
@NullMarked
package dev.zoetrope.models.cogvideox;

import org.jspecify.annotations.NullMarked;
