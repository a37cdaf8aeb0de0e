/** Training of language models, and of those that also see: what is learned of a conversation, which parts train. */
@NullMarked
package dev.zoetrope.training.language;

import org.jspecify.annotations.NullMarked;
