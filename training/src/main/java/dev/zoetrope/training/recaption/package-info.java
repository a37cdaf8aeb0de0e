/** A small language model that learns to turn wishes, however they are worded or typed, into captions of the built-in world. */
@NullMarked
package dev.zoetrope.training.recaption;

import org.jspecify.annotations.NullMarked;
