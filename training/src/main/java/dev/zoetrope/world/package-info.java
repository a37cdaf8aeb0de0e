/** Carousel, the built-in world: moving pictures with exact captions, masks and sound. */
@NullMarked
package dev.zoetrope.world;

import org.jspecify.annotations.NullMarked;
