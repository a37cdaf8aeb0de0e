/** Training of models that talk about pictures: LLaVA and its kin, mPLUG-Owl, CogVLM, DeepSeek-VL. */
@NullMarked
package dev.zoetrope.training.talking;

import org.jspecify.annotations.NullMarked;
