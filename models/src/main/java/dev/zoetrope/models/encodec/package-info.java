/** EnCodec: sound as tokens. */
@NullMarked
package dev.zoetrope.models.encodec;

import org.jspecify.annotations.NullMarked;
