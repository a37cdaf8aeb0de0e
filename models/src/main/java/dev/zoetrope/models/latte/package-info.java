/** Latte: a video transformer whose blocks look at one frame and along time in turn. */
@NullMarked
package dev.zoetrope.models.latte;

import org.jspecify.annotations.NullMarked;
