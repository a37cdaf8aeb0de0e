/** From bands of sound back to its waveform. */
@NullMarked
package dev.zoetrope.models.hifigan;

import org.jspecify.annotations.NullMarked;
