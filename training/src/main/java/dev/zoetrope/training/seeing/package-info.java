/** Recipes and measures on the built-in world of the models that look at pictures: ViT, CLIP, SigLIP. */
@NullMarked
package dev.zoetrope.training.seeing;

import org.jspecify.annotations.NullMarked;
