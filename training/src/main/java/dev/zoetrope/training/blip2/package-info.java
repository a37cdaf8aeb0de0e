/** How BLIP-2 is trained: queries learn to find what texts say (stage 1), then to tell it a language model (stage 2). */
@NullMarked
package dev.zoetrope.training.blip2;

import org.jspecify.annotations.NullMarked;
