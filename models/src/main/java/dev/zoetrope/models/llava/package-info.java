/** The LLaVA family: a vision tower, a connector and a language model; TinyLLaVA, MobileVLM and Bunny are its configurations. */
@NullMarked
package dev.zoetrope.models.llava;

import org.jspecify.annotations.NullMarked;
