package dev.zoetrope.tensor;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Owns every tensor that is made on this thread while it is the innermost open scope, and frees them when it closes.
 * What shall live on is moved out by {@link #keep}: to the scope around this one, or to nobody (then its holder closes
 * it). Scopes nest like blocks and belong to the thread that opened them.
 *
 * <pre>{@code
 * try (Scope s = Scope.open()) {
 *     Tensor x = a.matmul(b).add(c);
 *     return s.keep(x.softmax(-1));            // the product and the sum are freed here
 * }
 * }</pre>
 *
 * Closing is always safe under autograd: the recorded graph holds what it needs by references of its own.
 */
public final class Scope implements AutoCloseable {
    private static final ThreadLocal<@Nullable Scope> CURRENT = new ThreadLocal<>();

    private final @Nullable Scope outer;
    private final Thread thread = Thread.currentThread();
    private Tensor[] owned = new Tensor[32];
    private int count;
    private boolean closed;

    private Scope(@Nullable Scope outer) {
        this.outer = outer;
    }

    public static Scope open() {
        Scope s = new Scope(CURRENT.get());
        CURRENT.set(s);
        return s;
    }

    /** Moves a tensor of this scope out of it; one that this scope does not own stays with its owner. Returns it. */
    public Tensor keep(Tensor t) {
        if (t.owner == this) {
            release(t);
            if (outer != null) {
                outer.own(t);
            }
        }
        return t;
    }

    /**
     * The next state of a row of layers: frees the one before, if this scope owns it, so that the states of a deep model do
     * not pile up. {@code x = s.replace(x, block.forward(x))}. Returns {@code next}.
     */
    public Tensor replace(Tensor before, Tensor next) {
        if (before.owner == this && before != next) {
            before.close();
        }
        return next;
    }

    /** Moves a tensor to no scope at all, whichever owned it: from now on its holder closes it. Returns it. */
    public static Tensor detach(Tensor t) {
        Scope s = t.owner;
        if (s != null) {
            s.release(t);
        }
        return t;
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (Thread.currentThread() != thread) {
            throw new IllegalStateException("a scope opened on thread " + thread.getName()
                    + " must be closed there, not on " + Thread.currentThread().getName());
        }
        if (CURRENT.get() != this) {
            throw new IllegalStateException("scopes close in the reverse order of opening; one inside is still open");
        }
        closed = true;
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
        for (int i = count - 1; i >= 0; i--) {
            Tensor t = owned[i];
            if (t != null) {
                t.owner = null;
                t.close();
            }
        }
        count = 0;
    }

    /** Called for each new tensor: the innermost scope of this thread takes it; without one its holder closes it. */
    static Tensor register(Tensor t) {
        Scope s = CURRENT.get();
        if (s != null) {
            s.own(t);
        }
        return t;
    }

    private void own(Tensor t) {
        if (count == owned.length) {
            owned = Arrays.copyOf(owned, 2 * count);
        }
        t.owner = this;
        t.slot = count;
        owned[count++] = t;
    }

    void release(Tensor t) {
        if (Thread.currentThread() != thread) {
            throw new IllegalStateException(t.describe() + " belongs to a scope of thread " + thread.getName()
                    + ": only that thread may move or "
                    + "close it; keep it out of the scope there before handing it over");
        }
        // Slots are given back at the end only: what was moved out leaves a hole, which closing skips.
        owned[t.slot] = null;
        while (count > 0 && owned[count - 1] == null) {
            count--;
        }
        t.owner = null;
    }
}
