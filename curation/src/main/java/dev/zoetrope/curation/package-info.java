/** Choosing and checking the data that models learn from: core sets, duplicates, mixes of conversations. */
@NullMarked
package dev.zoetrope.curation;

import org.jspecify.annotations.NullMarked;
