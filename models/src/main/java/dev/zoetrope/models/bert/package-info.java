/** BERT, the text encoder, and sentence embeddings by it. */
@NullMarked
package dev.zoetrope.models.bert;

import org.jspecify.annotations.NullMarked;
