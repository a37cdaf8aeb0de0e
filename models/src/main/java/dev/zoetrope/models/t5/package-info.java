/** T5 and its kin: the text encoder of many generators, and text to text. */
@NullMarked
package dev.zoetrope.models.t5;

import org.jspecify.annotations.NullMarked;
