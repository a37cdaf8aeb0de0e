/** Losses, optimisers, recipes, the trainer and its evaluation. */
@NullMarked
package dev.zoetrope.training;

import org.jspecify.annotations.NullMarked;
