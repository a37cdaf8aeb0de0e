package dev.zoetrope.tasks;

/** Told how far a long task is. */
@FunctionalInterface
public interface Progress {
    /** Tells nobody and never stops. */
    Progress NONE = (step, steps) -> true;

    /**
     * @param step steps done
     * @param steps steps in all
     * @return whether to go on; false makes the task throw {@link java.util.concurrent.CancellationException}
     */
    boolean step(int step, int steps);
}
