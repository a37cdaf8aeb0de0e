/** How good pictures are: against other pictures, sets of pictures, and texts. */
@NullMarked
package dev.zoetrope.training.evaluation;

import org.jspecify.annotations.NullMarked;
