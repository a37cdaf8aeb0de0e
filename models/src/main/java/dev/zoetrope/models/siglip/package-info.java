/** SigLIP, CLIP with a loss for each pair of picture and text, and its two towers on their own. */
@NullMarked
package dev.zoetrope.models.siglip;

import org.jspecify.annotations.NullMarked;
