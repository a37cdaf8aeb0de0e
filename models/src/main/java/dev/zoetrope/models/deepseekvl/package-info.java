/** DeepSeek-VL: a language model that sees with SigLIP, or with SigLIP and SAM's encoder at once. */
@NullMarked
package dev.zoetrope.models.deepseekvl;

import org.jspecify.annotations.NullMarked;
