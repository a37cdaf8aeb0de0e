package dev.zoetrope.cli;

import dev.zoetrope.tensor.Engine;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How the engine runs, for commands that use it. */
public final class EngineOptions {
    @Option(names = "--threads", paramLabel = "N", description = "Threads of one operation (default: physical cores).")
    private @Nullable Integer threads;

    /** Refuses what cannot be, before anything is loaded. */
    void check() {
        if (threads != null && threads < 1) {
            throw new UserError("--threads " + threads + ": at least 1 is needed");
        }
    }

    /** These options as arguments, for another process. */
    List<String> arguments() {
        return threads == null ? List.of() : List.of("--threads", threads.toString());
    }

    /** Loads the engine. */
    public void start(PrintWriter err) {
        check();
        Engine.load();
        if (threads != null) {
            Engine.setThreads(threads);
        }
        Engine.warnings().forEach(warning -> err.println("zoetrope: warning: " + warning));
    }
}
