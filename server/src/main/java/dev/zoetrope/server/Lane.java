package dev.zoetrope.server;

import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.Function;

/**
 * The queue of one model, and the thread that works on it: one piece of work at a time, on a platform thread, because native
 * code would pin a virtual one. When the queue is full, further work is refused.
 */
final class Lane implements AutoCloseable {
    private static final long LOOK_MILLIS = 200;

    private final String name;
    private final Duration limit;
    private final BlockingQueue<Runnable> queue;
    private final ThreadPoolExecutor worker;

    /**
     * @param waiting how much may wait
     * @param limit how long one piece may run
     */
    Lane(String name, int waiting, Duration limit) {
        this.name = name;
        this.limit = limit;
        this.queue = new ArrayBlockingQueue<>(waiting);
        this.worker = new ThreadPoolExecutor(1, 1, 1, TimeUnit.MINUTES, queue, work -> {
            Thread t = new Thread(work, "lane-" + name);
            t.setDaemon(true);
            return t;
        });
        worker.allowCoreThreadTimeOut(true);
    }

    /** How work learns that nobody wants its result any more. */
    static final class Flag {
        private volatile boolean cancelled;
        private volatile long deadline = Long.MAX_VALUE;

        /** Nobody waits any more. */
        void cancel() {
            cancelled = true;
        }

        /** Whether to go on. */
        boolean wanted() {
            return !cancelled && System.nanoTime() < deadline;
        }

        private void begin(Duration limit) {
            deadline = System.nanoTime() + limit.toNanos();
        }

        private boolean late() {
            return !cancelled && System.nanoTime() >= deadline;
        }
    }

    /** Work that waits or runs. */
    static final class Ticket<T> {
        private final CompletableFuture<T> result = new CompletableFuture<>();
        private final Flag flag = new Flag();
        private final Lane lane;
        private Runnable work = () -> {};

        private Ticket(Lane lane) {
            this.lane = lane;
        }

        Flag flag() {
            return flag;
        }

        boolean done() {
            return result.isDone();
        }

        void cancel() {
            flag.cancel();
            if (lane.queue.remove(work)) {
                result.cancel(false);
            }
        }

        /**
         * Waits for the result.
         *
         * @param present asked now and then whether anybody still wants it; false ends the work
         */
        T await(BooleanSupplier present) {
            try {
                while (true) {
                    try {
                        return result.get(LOOK_MILLIS, TimeUnit.MILLISECONDS);
                    } catch (TimeoutException e) {
                        if (!present.getAsBoolean()) {
                            cancel();
                        }
                        if (lane.worker.isTerminated()) {
                            throw ApiError.unavailable("shutting_down", "the server is stopping", 5);
                        }
                    }
                }
            } catch (InterruptedException e) {
                cancel();
                Thread.currentThread().interrupt();
                throw new CancellationException("interrupted");
            } catch (ExecutionException e) {
                if (e.getCause() instanceof RuntimeException r) {
                    throw r;
                }
                if (e.getCause() instanceof Error error) {
                    throw error;
                }
                throw new IllegalStateException(e.getCause());
            }
        }
    }

    /**
     * Puts work into the queue.
     *
     * @throws ApiError 429 when the queue is full
     */
    <T> Ticket<T> submit(Function<Flag, T> work) {
        Ticket<T> ticket = new Ticket<>(this);
        ticket.work = () -> run(ticket, work);
        try {
            worker.execute(ticket.work);
        } catch (RejectedExecutionException e) {
            throw worker.isShutdown()
                    ? ApiError.unavailable("shutting_down", "the server is stopping", 5)
                    : ApiError.busy(
                            "queue_full",
                            name + " has " + queue.size() + " requests waiting already; try again later",
                            2);
        }
        return ticket;
    }

    private <T> void run(Ticket<T> ticket, Function<Flag, T> work) {
        Flag flag = ticket.flag;
        if (!flag.wanted()) {
            ticket.result.cancel(false);
            return;
        }
        flag.begin(limit);
        try {
            T done = work.apply(flag);
            ticket.result.complete(done);
        } catch (CancellationException e) {
            ticket.result.completeExceptionally(
                    flag.late()
                            ? ApiError.unavailable(
                                    "time_limit",
                                    "this took longer than the " + limit.toSeconds()
                                            + " seconds that the server allows; ask for less",
                                    0)
                            : e);
        } catch (Throwable e) { // handed to the one who waits
            ticket.result.completeExceptionally(e);
        }
    }

    /** How much waits. */
    int waiting() {
        return queue.size();
    }

    /** Whether something runs. */
    boolean busy() {
        return worker.getActiveCount() > 0;
    }

    /** Takes no more work, drops what waits, and waits for what runs. */
    @Override
    public void close() {
        worker.shutdownNow();
        try {
            if (!worker.awaitTermination(30, TimeUnit.SECONDS)) {
                System.getLogger(Lane.class.getName())
                        .log(System.Logger.Level.WARNING, name + " does not end its work");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
