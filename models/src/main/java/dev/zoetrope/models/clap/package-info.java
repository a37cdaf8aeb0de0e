/** Text in a space shared with sound. */
@NullMarked
package dev.zoetrope.models.clap;

import org.jspecify.annotations.NullMarked;
