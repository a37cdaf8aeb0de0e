/** Clips of any size in rows of one length. */
@NullMarked
package dev.zoetrope.models.navit;

import org.jspecify.annotations.NullMarked;
