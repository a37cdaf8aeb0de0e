package dev.zoetrope.tasks;

import dev.zoetrope.media.Image;
import java.util.List;
import java.util.function.Supplier;

/** Counts steps and their time on the way to the one who waits. */
final class Clock {
    private final ImageListener listener;
    private final long started = System.nanoTime();
    private long last = started;
    private int steps;

    Clock(ImageListener listener) {
        this.listener = listener;
    }

    boolean step(int step, int all, Supplier<List<Image>> preview) {
        last = System.nanoTime();
        steps++;
        return listener.step(step, all, preview);
    }

    double secondsPerStep() {
        return (last - started) / 1e9 / Math.max(1, steps);
    }
}
