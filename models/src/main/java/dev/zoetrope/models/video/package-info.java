/** What the published text to video pipelines have in common. */
@NullMarked
package dev.zoetrope.models.video;

import org.jspecify.annotations.NullMarked;
