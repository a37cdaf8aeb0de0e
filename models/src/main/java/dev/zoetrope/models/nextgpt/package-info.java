/** From any medium to any: a language model that reads vectors of media and says when others shall draw or sound. */
@NullMarked
package dev.zoetrope.models.nextgpt;

import org.jspecify.annotations.NullMarked;
