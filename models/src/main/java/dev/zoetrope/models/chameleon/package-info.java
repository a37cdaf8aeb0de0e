/** Chameleon: a language model that reads pictures as tokens. */
@NullMarked
package dev.zoetrope.models.chameleon;

import org.jspecify.annotations.NullMarked;
