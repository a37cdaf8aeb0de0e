/** Models over HTTP as OpenAI's clients expect it, jobs that survive a restart, and a studio for the browser. */
@NullMarked
package dev.zoetrope.server;

import org.jspecify.annotations.NullMarked;
