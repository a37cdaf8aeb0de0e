/** What autoencoders of pictures learn from: likelihood, codebooks, a perceptual distance and an adversary. */
@NullMarked
package dev.zoetrope.training.autoencoder;

import org.jspecify.annotations.NullMarked;
