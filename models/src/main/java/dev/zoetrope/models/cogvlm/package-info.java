/** CogVLM and CogVLM2: language models with a visual expert in every layer. */
@NullMarked
package dev.zoetrope.models.cogvlm;

import org.jspecify.annotations.NullMarked;
