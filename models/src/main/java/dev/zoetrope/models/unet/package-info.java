/** U-Nets that denoise pictures and latents: unconditional ones, and those steered by text, boxes and sizes. */
@NullMarked
package dev.zoetrope.models.unet;

import org.jspecify.annotations.NullMarked;
