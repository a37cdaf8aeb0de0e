/** Sound from a text. */
@NullMarked
package dev.zoetrope.models.audioldm;

import org.jspecify.annotations.NullMarked;
