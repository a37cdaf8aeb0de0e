package dev.zoetrope.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** Progress on standard error: a bar that moves on a terminal, now and then a line elsewhere. */
final class Bar implements AutoCloseable {
    /** Set by the launcher, which sees where standard error goes; Java does not. */
    private static final String TERMINAL = "zoetrope.terminal";

    private static final long NANOS_BETWEEN_LINES = Duration.ofSeconds(10).toNanos();

    private final String task;
    private final long first;
    private final long steps;
    private final PrintWriter err;
    private final @Nullable ProgressBar bar;
    private final long started = System.nanoTime();
    private long printed = started;
    private String note = "";

    /**
     * @param first steps that were done before
     * @param steps steps in all
     */
    Bar(String task, long first, long steps, PrintWriter err) {
        this.task = task;
        this.first = first;
        this.steps = steps;
        this.err = err;
        bar = Boolean.getBoolean(TERMINAL)
                ? new ProgressBarBuilder()
                        .setTaskName(task)
                        .startsFrom(first, Duration.ZERO)
                        .setInitialMax(steps)
                        .setStyle(ProgressBarStyle.ASCII)
                        .setUpdateIntervalMillis(200)
                        .showSpeed()
                        .build()
                : null;
    }

    /** Says how far the task is. */
    void step(long step) {
        if (bar != null) {
            bar.stepTo(step);
            return;
        }
        long now = System.nanoTime();
        if (step == steps || step == first + 1 || now - printed > NANOS_BETWEEN_LINES) {
            printed = now;
            double each = (now - started) / 1e9 / Math.max(1, step - first);
            err.printf(
                    Locale.ROOT,
                    "%s: step %d of %d, %s a step, %s left%s%n",
                    task,
                    step,
                    steps,
                    seconds(each),
                    clock(Math.round(each * (steps - step))),
                    note.isEmpty() ? "" : ", " + note);
            err.flush();
        }
    }

    /** What to show beside the progress from now on. */
    void note(String text) {
        note = text;
        if (bar != null) {
            bar.setExtraMessage(" " + text);
        }
    }

    /** 0.512 s, 12.3 s: three digits. */
    static String seconds(double seconds) {
        return String.format(Locale.ROOT, seconds < 1 ? "%.3f s" : seconds < 10 ? "%.2f s" : "%.1f s", seconds);
    }

    private static String clock(long seconds) {
        return String.format(Locale.ROOT, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
