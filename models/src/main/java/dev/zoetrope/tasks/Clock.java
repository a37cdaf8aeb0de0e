package dev.zoetrope.tasks;

/** Counts steps and their time on the way to the one who waits. */
final class Clock {
    private final Progress progress;
    private final long started = System.nanoTime();
    private long last = started;
    private int steps;

    Clock(Progress progress) {
        this.progress = progress;
    }

    boolean step(int step, int all) {
        last = System.nanoTime();
        steps++;
        return progress.step(step, all);
    }

    double secondsPerStep() {
        return (last - started) / 1e9 / Math.max(1, steps);
    }
}
