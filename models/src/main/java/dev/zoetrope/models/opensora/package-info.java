/** Open-Sora 1.2: a video transformer for any size, in which any frames may be given. */
@NullMarked
package dev.zoetrope.models.opensora;

import org.jspecify.annotations.NullMarked;
