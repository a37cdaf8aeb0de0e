package dev.zoetrope.cli;

import dev.zoetrope.tensor.UserError;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * Starts this program several times over as the processes of one training, and starts them all again from the last
 * checkpoint when one of them dies. The first process speaks for all; what the others say is in a file each.
 */
final class Processes {
    private static final int MOST_RESTARTS = 5;
    private static final int GRACE_SECONDS = 10;
    private static final int USAGE = 2;
    private static final int INTERRUPTED = 130;

    private final List<String> arguments;
    private final int size;
    private final Path run;
    private final PrintWriter err;
    private volatile List<Process> running = List.of();
    private volatile boolean ending;

    /** @param arguments of the training, without those that tell one process from another */
    Processes(List<String> arguments, int size, Path run, PrintWriter err) {
        this.arguments = arguments;
        this.size = size;
        this.run = run;
        this.err = err;
    }

    /** @return the exit code of the training */
    int call(boolean resume) {
        Thread hook = new Thread(this::end, "end-processes");
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            Files.createDirectories(run);
            boolean again = resume;
            for (int restarts = 0; ; restarts++) {
                int code = once(again);
                if (code == 0 || code == USAGE || code == INTERRUPTED || ending) {
                    return code;
                }
                if (restarts == MOST_RESTARTS) {
                    err.println("zoetrope: given up after " + restarts + " restarts; see " + log(1).getParent());
                    return code;
                }
                err.println("zoetrope: a process died; all start again from the last checkpoint");
                err.flush();
                again = true;
            }
        } catch (IOException e) {
            throw new UserError("the processes of the training cannot be started: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return INTERRUPTED;
        } finally {
            if (!ending) {
                Runtime.getRuntime().removeShutdownHook(hook);
            }
        }
    }

    private int once(boolean resume) throws IOException, InterruptedException {
        Path meeting = run.resolve(".meeting-" + UUID.randomUUID()).toAbsolutePath();
        List<Process> all = new ArrayList<>();
        running = all;
        for (int rank = 0; rank < size; rank++) {
            all.add(start(rank, meeting, resume));
        }
        Process failed = null;
        while (failed == null && all.stream().anyMatch(Process::isAlive)) {
            for (Process p : all) {
                if (p.waitFor(100, TimeUnit.MILLISECONDS) && p.exitValue() != 0) {
                    failed = p;
                }
            }
        }
        if (failed != null) { // the others notice by themselves, or never
            long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(GRACE_SECONDS);
            for (Process p : all) {
                if (!p.waitFor(Math.max(0, until - System.nanoTime()), TimeUnit.NANOSECONDS) && !ending) {
                    p.destroyForcibly();
                }
                p.waitFor();
            }
        }
        Files.deleteIfExists(meeting);
        List<Integer> codes = all.stream().map(Process::exitValue).toList();
        return codes.stream()
                .filter(code -> code == USAGE || code == INTERRUPTED)
                .findFirst()
                .orElse(codes.stream().filter(code -> code != 0).findFirst().orElse(0));
    }

    private Process start(int rank, Path meeting, boolean resume) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(ProcessHandle.current().info().command().orElse("java"));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Zoetrope.class.getName()));
        command.addAll(arguments);
        command.addAll(List.of("--processes", Integer.toString(size), "--rank", Integer.toString(rank)));
        command.addAll(List.of("--meeting", meeting.toString()));
        if (resume) {
            command.add("--resume");
        }
        ProcessBuilder builder = new ProcessBuilder(command);
        if (rank == 0) {
            // Gloo says hello on standard output, which is for results.
            builder.redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.INHERIT);
        } else {
            builder.redirectErrorStream(true).redirectOutput(log(rank));
        }
        return builder.start(); // its standard input ends with this process, and so does it
    }

    private File log(int rank) {
        return run.resolve("process-" + rank + ".log").toFile();
    }

    /** Lets the processes save; Ctrl-C reached them already, a signal to this process alone did not. */
    private void end() {
        ending = true;
        running.forEach(Process::destroy);
        for (Process p : running) {
            try {
                p.waitFor();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    /** Ends this process as soon as the one that started it is gone. */
    static void endWithParent() {
        Thread watch = new Thread(
                () -> {
                    try {
                        while (System.in.read() >= 0) {
                            // nothing is ever said
                        }
                    } catch (IOException e) {
                        // as good as gone
                    }
                    Runtime.getRuntime().halt(1);
                },
                "end-with-parent");
        watch.setDaemon(true);
        watch.start();
    }
}
