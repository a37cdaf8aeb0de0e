/** MusicGen: sound from text by a transformer over the tokens of EnCodec. */
@NullMarked
package dev.zoetrope.models.musicgen;

import org.jspecify.annotations.NullMarked;
