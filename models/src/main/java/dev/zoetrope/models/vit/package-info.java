/** ViT, the vision transformer that classifies pictures. */
@NullMarked
package dev.zoetrope.models.vit;

import org.jspecify.annotations.NullMarked;
