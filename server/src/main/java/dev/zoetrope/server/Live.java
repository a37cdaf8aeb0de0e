package dev.zoetrope.server;

import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** What is known of a job that runs in this process, for those who watch it. */
final class Live {
    /**
     * @param version grows with every change
     * @param strip the frames side by side as PNG; null where there is no preview
     * @param frames of the strip
     * @param over whether nothing more comes
     */
    @SuppressWarnings("ArrayRecordComponent")
    record State(long version, int step, int steps, byte @Nullable [] strip, int frames, boolean over) {}

    private State state = new State(0, 0, 0, null, 0, false);
    private int watchers;

    synchronized void step(int step, int steps, byte @Nullable [] strip, int frames) {
        state = new State(state.version + 1, step, steps, strip, frames, false);
        notifyAll();
    }

    synchronized void end() {
        state = new State(state.version + 1, state.step, state.steps, null, 0, true);
        notifyAll();
    }

    synchronized void watch(int more) {
        watchers += more;
    }

    /** Whether anybody looks, so that previews are worth their time. */
    synchronized boolean watched() {
        return watchers > 0;
    }

    synchronized State state() {
        return state;
    }

    /** Waits for a change. @return the newest state, which may be the known one when time is up */
    synchronized State after(long version, long millis) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        while (state.version <= version && !state.over) {
            long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
            if (left <= 0) {
                break;
            }
            wait(left);
        }
        return state;
    }
}
