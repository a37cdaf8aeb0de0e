/** One space for pictures, video, text, sound, depth, heat and motion. */
@NullMarked
package dev.zoetrope.models.imagebind;

import org.jspecify.annotations.NullMarked;
