/** How the built-in text-to-video model is trained, and judged, on the built-in world. */
@NullMarked
package dev.zoetrope.training.sora;

import org.jspecify.annotations.NullMarked;
