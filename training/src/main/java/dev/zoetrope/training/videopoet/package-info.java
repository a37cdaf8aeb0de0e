/** Training and measuring of VideoPoet on the built-in world. */
@NullMarked
package dev.zoetrope.training.videopoet;

import org.jspecify.annotations.NullMarked;
