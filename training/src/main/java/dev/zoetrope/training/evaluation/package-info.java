/** Measures of answers: pictures against pictures, sets and texts; classes; what pictures and texts find of each other. */
@NullMarked
package dev.zoetrope.training.evaluation;

import org.jspecify.annotations.NullMarked;
