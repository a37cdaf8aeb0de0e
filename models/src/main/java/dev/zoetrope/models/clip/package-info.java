/** CLIP, pictures and texts in one space of vectors, and its two towers on their own. */
@NullMarked
package dev.zoetrope.models.clip;

import org.jspecify.annotations.NullMarked;
