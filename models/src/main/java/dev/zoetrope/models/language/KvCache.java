package dev.zoetrope.models.language;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keys and values of the tokens so far, for each block of a model: a text is continued without computing it again. Grows
 * by pages. Its tensors belong to no scope; closing frees them.
 *
 * <p>Axes: B rows, H heads of keys and values, N tokens so far, E width of a head.
 */
public final class KvCache implements AutoCloseable {
    private static final long PAGE = 256; // tokens

    private final List<Layer> layers = new ArrayList<>();

    /** Number of tokens that every block has seen. */
    public long length() {
        return layers.isEmpty() ? 0 : layers.get(0).length;
    }

    /** What one block remembers. */
    public Layer layer(int block) {
        while (layers.size() <= block) {
            layers.add(new Layer());
        }
        return layers.get(block);
    }

    /** Forgets all tokens from this one on. */
    public void truncate(long length) {
        if (length > length()) {
            throw new IllegalArgumentException("the cache holds " + length() + " tokens, fewer than " + length);
        }
        layers.forEach(l -> l.length = length);
    }

    /** Goes on with these of its rows, in this order; a row may come several times. {@code rows [B']} INT64. */
    public void select(Tensor rows) {
        layers.forEach(l -> l.select(rows));
    }

    /** Keys and values, {@code [B, H, N, E]}. */
    public record KeyValue(Tensor keys, Tensor values) {}

    /** Of one block. */
    public static final class Layer {
        private @Nullable Tensor keys; // [B, H, capacity, E]
        private @Nullable Tensor values;
        private long length;

        /**
         * Adds tokens.
         *
         * @param k {@code [B, H, T, E]}
         * @param v {@code [B, H, T, E]}
         * @return all so far, views that are valid until the next call
         */
        public KeyValue append(Tensor k, Tensor v) {
            long end = length + k.size(2);
            keys = room(keys, k, end);
            values = room(values, v, end);
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open()) {
                keys.narrow(2, length, k.size(2)).copyInPlace(k);
                values.narrow(2, length, v.size(2)).copyInPlace(v);
            }
            length = end;
            return new KeyValue(keys.narrow(2, 0, end), values.narrow(2, 0, end));
        }

        private Tensor room(@Nullable Tensor before, Tensor like, long end) {
            if (before != null && before.size(2) >= end) {
                return before;
            }
            long capacity = (end + PAGE - 1) / PAGE * PAGE;
            Tensor r = Scope.detach(
                    Tensor.zeros(like.dtype(), like.device(), like.size(0), like.size(1), capacity, like.size(3)));
            if (before != null) {
                try (Scope s = Scope.open()) {
                    r.narrow(2, 0, length).copyInPlace(before.narrow(2, 0, length));
                }
                before.close();
            }
            return r;
        }

        private void select(Tensor rows) {
            keys = selected(keys, rows);
            values = selected(values, rows);
        }

        private static @Nullable Tensor selected(@Nullable Tensor t, Tensor rows) {
            if (t == null) {
                return null;
            }
            Tensor r = Scope.detach(t.indexSelect(0, rows));
            t.close();
            return r;
        }

        private void close() {
            if (keys != null && values != null) {
                keys.close();
                values.close();
                keys = null;
                values = null;
            }
        }
    }

    @Override
    public void close() {
        layers.forEach(Layer::close);
        layers.clear();
    }
}
