/** Short videos from a text, by a U-Net that also looks along time. */
@NullMarked
package dev.zoetrope.models.zeroscope;

import org.jspecify.annotations.NullMarked;
