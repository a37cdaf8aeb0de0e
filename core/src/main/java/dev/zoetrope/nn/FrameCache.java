package dev.zoetrope.nn;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.IdentityHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What layers have to remember of a video that passes through a network in pieces, such as the last frames that a causal
 * convolution has seen: with it the pieces give what the whole gives. One for each video; closing frees it.
 */
public final class FrameCache implements AutoCloseable {
    private final Map<Object, Tensor> frames = new IdentityHashMap<>();

    /** What the layer has remembered; null at the first piece. */
    public @Nullable Tensor get(Object layer) {
        return frames.get(layer);
    }

    /** Remembers a copy. */
    public void put(Object layer, Tensor value) {
        @Nullable Tensor before = frames.put(layer, Scope.detach(value.copy()));
        if (before != null) {
            before.close();
        }
    }

    @Override
    public void close() {
        frames.values().forEach(Tensor::close);
        frames.clear();
    }
}
