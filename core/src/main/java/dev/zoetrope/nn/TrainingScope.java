package dev.zoetrope.nn;

import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * While one is open on a thread, that thread trains: dropout drops and batch norm goes by its batch. Outside, every
 * layer computes what inference computes, so a model carries no mode.
 *
 * <pre>{@code
 * try (var training = TrainingScope.open(random)) {
 *     loss(model.forward(x)).backward();
 * }
 * }</pre>
 */
public final class TrainingScope implements AutoCloseable {
    private static final ThreadLocal<@Nullable TrainingScope> CURRENT = new ThreadLocal<>();

    private final @Nullable TrainingScope outer = CURRENT.get();
    private final Thread thread = Thread.currentThread();
    private final RandomSource random;
    private final boolean recomputes;
    private final boolean repeated;
    private final List<AutoCloseable> held = new ArrayList<>();

    private TrainingScope(RandomSource random, boolean recomputes, boolean repeated) {
        this.random = random;
        this.recomputes = recomputes;
        this.repeated = repeated;
        CURRENT.set(this);
    }

    /** What is dropped is drawn from {@code random}, which stays the caller's. */
    public static TrainingScope open(RandomSource random) {
        return new TrainingScope(random, false, false);
    }

    /**
     * As {@link #open}, and blocks keep no activations but make them again in the backward, see {@link Recompute}: less
     * memory for a third more time. To be opened outside the {@link Scope} of the loss, whose graph it must outlive.
     */
    public static TrainingScope recomputing(RandomSource random) {
        return new TrainingScope(random, true, false);
    }

    /** For a part that was run before and is run again for its gradients: running statistics do not move twice. */
    static TrainingScope repeat(RandomSource random) {
        return new TrainingScope(random, false, true);
    }

    static @Nullable TrainingScope current() {
        return CURRENT.get();
    }

    RandomSource random() {
        return random;
    }

    boolean recomputes() {
        return recomputes;
    }

    /** Closes something together with this scope. */
    void untilClosed(AutoCloseable resource) {
        held.add(resource);
    }

    boolean isRepeated() {
        return repeated;
    }

    @Override
    public void close() {
        if (Thread.currentThread() != thread) {
            throw new IllegalStateException("a training scope opened on thread " + thread.getName()
                    + " must be closed there, not on " + Thread.currentThread().getName());
        }
        for (AutoCloseable resource : held) {
            try {
                resource.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
    }
}
