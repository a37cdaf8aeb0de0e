/** BLIP-2: queries that ask a frozen image encoder, and what they find told to a frozen language model. */
@NullMarked
package dev.zoetrope.models.blip2;

import org.jspecify.annotations.NullMarked;
