/** What diffusion and flow models learn: losses on a noised sample, whatever the network. */
@NullMarked
package dev.zoetrope.training.diffusion;

import org.jspecify.annotations.NullMarked;
