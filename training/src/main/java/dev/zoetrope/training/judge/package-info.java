/** Classifiers that judge what generators of the built-in world make; they share nothing with them but the world. */
@NullMarked
package dev.zoetrope.training.judge;

import org.jspecify.annotations.NullMarked;
