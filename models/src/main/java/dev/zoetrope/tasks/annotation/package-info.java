/** The data engine of Segment Anything: masks by people, by people and model, and by the model alone. */
@NullMarked
package dev.zoetrope.tasks.annotation;

import org.jspecify.annotations.NullMarked;
