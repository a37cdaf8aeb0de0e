/** How vectors become numbers of a finite alphabet: by sign, by rounding, by the nearest entry of a table. */
@NullMarked
package dev.zoetrope.models.quantize;

import org.jspecify.annotations.NullMarked;
