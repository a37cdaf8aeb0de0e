/** mPLUG-Owl: a visual abstractor between an image tower and a language model that reads several pictures. */
@NullMarked
package dev.zoetrope.models.owl;

import org.jspecify.annotations.NullMarked;
