/** DAC, the Descript audio codec: sound as tokens. */
@NullMarked
package dev.zoetrope.models.dac;

import org.jspecify.annotations.NullMarked;
