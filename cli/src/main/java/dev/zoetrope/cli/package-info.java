/** The zoetrope command. */
@NullMarked
package dev.zoetrope.cli;

import org.jspecify.annotations.NullMarked;
