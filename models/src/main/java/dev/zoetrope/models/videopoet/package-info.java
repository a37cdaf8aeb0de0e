/** VideoPoet: video and sound as discrete tokens, and one language model that says them. */
@NullMarked
package dev.zoetrope.models.videopoet;

import org.jspecify.annotations.NullMarked;
