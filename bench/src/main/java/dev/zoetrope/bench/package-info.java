/** Timings that stand beside those of other implementations. */
@NullMarked
package dev.zoetrope.bench;

import org.jspecify.annotations.NullMarked;
