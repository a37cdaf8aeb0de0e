package dev.zoetrope.models.dit;

import java.util.ArrayDeque;
import java.util.Deque;

/** What is open while a pipeline is put together, closed again if that fails. */
final class Parts {
    private final Deque<AutoCloseable> open = new ArrayDeque<>();

    <T extends AutoCloseable> T add(T part) {
        open.push(part);
        return part;
    }

    void close() {
        while (!open.isEmpty()) {
            try {
                open.pop().close();
            } catch (Exception e) {
                throw new IllegalStateException(e); // none of a model's parts throws one
            }
        }
    }
}
