/** Tensors over libtorch: the only package that touches the engine. */
@NullMarked
package dev.zoetrope.tensor;

import org.jspecify.annotations.NullMarked;
