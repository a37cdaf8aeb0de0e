package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;

/** The latest tensors of a run, held beyond the scopes of its steps. */
final class History implements AutoCloseable {
    private final int limit;
    private final Deque<Tensor> latestFirst = new ArrayDeque<>();

    History(int limit) {
        this.limit = limit;
    }

    void add(Tensor t) {
        latestFirst.addFirst(Scope.detach(t.alias()));
        if (latestFirst.size() > limit) {
            latestFirst.removeLast().close();
        }
    }

    int size() {
        return latestFirst.size();
    }

    /** 0 for the latest. */
    Tensor get(int back) {
        Iterator<Tensor> i = latestFirst.iterator();
        for (int k = 0; k < back; k++) {
            i.next();
        }
        return i.next();
    }

    Tensor[] all() {
        return latestFirst.toArray(Tensor[]::new);
    }

    void clear() {
        latestFirst.forEach(Tensor::close);
        latestFirst.clear();
    }

    @Override
    public void close() {
        clear();
    }
}
