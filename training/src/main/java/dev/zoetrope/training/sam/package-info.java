/** Trains and measures Segment Anything. */
@NullMarked
package dev.zoetrope.training.sam;

import org.jspecify.annotations.NullMarked;
