/** Programs that use Zoetrope as a library, each in one file. */
@NullMarked
package dev.zoetrope.examples;

import org.jspecify.annotations.NullMarked;
