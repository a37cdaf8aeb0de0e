package dev.zoetrope.cli;

import java.io.PrintWriter;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Ctrl-C as a request: while one of these is open, the JVM does not end before its owner has seen the request, finished what
 * must not stay half-done, and closed it.
 */
final class Stop implements AutoCloseable {
    private static final long PATIENCE_SECONDS = 300;

    private final CountDownLatch closed = new CountDownLatch(1);
    private final Thread hook;
    private volatile boolean requested;

    /** @param note what the user is told upon Ctrl-C */
    Stop(String note, PrintWriter err) {
        hook = new Thread(
                () -> {
                    requested = true;
                    err.println();
                    err.println("zoetrope: " + note);
                    err.flush();
                    await();
                },
                "stop");
        Runtime.getRuntime().addShutdownHook(hook);
    }

    private void await() {
        try {
            if (!closed.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                Runtime.getRuntime().halt(1);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    boolean requested() {
        return requested;
    }

    @Override
    public void close() {
        closed.countDown();
        if (!requested) {
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException e) {
                return; // the JVM is ending already, and the hook waits no longer
            }
        }
    }
}
