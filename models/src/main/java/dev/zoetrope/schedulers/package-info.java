/** Noise schedulers of diffusion and flow matching. */
@NullMarked
package dev.zoetrope.schedulers;

import org.jspecify.annotations.NullMarked;
