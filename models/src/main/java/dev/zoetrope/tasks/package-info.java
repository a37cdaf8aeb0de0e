/** What a user asks for, in three lines of code. */
@NullMarked
package dev.zoetrope.tasks;

import org.jspecify.annotations.NullMarked;
