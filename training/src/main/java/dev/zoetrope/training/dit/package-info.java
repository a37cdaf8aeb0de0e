/** Training of the class-conditional diffusion transformer. */
@NullMarked
package dev.zoetrope.training.dit;

import org.jspecify.annotations.NullMarked;
