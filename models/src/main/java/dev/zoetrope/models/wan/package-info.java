/** Wan: a flow-matching video transformer with text by cross-attention, and its causal video autoencoders. */
@NullMarked
package dev.zoetrope.models.wan;

import org.jspecify.annotations.NullMarked;
