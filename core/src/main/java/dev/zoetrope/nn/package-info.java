/** Neural network layers, built from a weights path: load, initialise or describe with the same constructor. */
@NullMarked
package dev.zoetrope.nn;

import org.jspecify.annotations.NullMarked;
