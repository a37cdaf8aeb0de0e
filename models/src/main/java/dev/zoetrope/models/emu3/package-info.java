/** Emu3: pictures and videos as tokens of a language model. */
@NullMarked
package dev.zoetrope.models.emu3;

import org.jspecify.annotations.NullMarked;
