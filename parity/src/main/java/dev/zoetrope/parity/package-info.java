/** Holds every model to the answers of its reference implementation. */
@NullMarked
package dev.zoetrope.parity;

import org.jspecify.annotations.NullMarked;
