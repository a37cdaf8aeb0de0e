/** Training of NExT-GPT: media towards words, words towards media. */
@NullMarked
package dev.zoetrope.training.nextgpt;

import org.jspecify.annotations.NullMarked;
