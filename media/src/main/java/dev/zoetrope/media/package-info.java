/** Images, video, audio and text: read, write, resize, tokenize. */
@NullMarked
package dev.zoetrope.media;

import org.jspecify.annotations.NullMarked;
