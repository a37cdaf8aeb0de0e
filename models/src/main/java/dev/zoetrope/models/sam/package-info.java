/** Segment Anything: from points, boxes and masks to masks. */
@NullMarked
package dev.zoetrope.models.sam;

import org.jspecify.annotations.NullMarked;
