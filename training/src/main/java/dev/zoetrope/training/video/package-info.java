/** Measures of moving pictures: of clips whose truth is known, and of any clips. */
@NullMarked
package dev.zoetrope.training.video;

import org.jspecify.annotations.NullMarked;
