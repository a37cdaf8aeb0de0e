/** Checkpoints as people publish them: safetensors, shards, PyTorch pickles, the hub cache, configuration. */
@NullMarked
package dev.zoetrope.checkpoint;

import org.jspecify.annotations.NullMarked;
