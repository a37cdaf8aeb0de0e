package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.tasks.BuiltIn;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which model a command uses. */
final class ModelOption {
    @Option(
            names = "--model",
            paramLabel = "DIR|ORG/NAME",
            description = "Folder of a model, or its name on the hub (default: the built-in one).")
    private @Nullable String model;

    /** The model's folder, fetched from the hub if it is not there yet. */
    Path folder(String builtIn, PrintWriter err) {
        return model == null ? BuiltIn.folder(builtIn) : fetched(model, err);
    }

    /** The folder of a model, fetched from the hub if it is a name there. */
    static Path fetched(String folderOrName, PrintWriter err) {
        long[] told = new long[1];
        Hub hub = new Hub(Hub.Settings.of(System.getenv()), (file, done, total) -> {
            long now = System.nanoTime();
            if (done == total || now - told[0] > 2_000_000_000L) {
                told[0] = now;
                err.println(file + ": " + (done >> 20) + " of " + (total >> 20) + " MiB");
                err.flush();
            }
        });
        return hub.resolve(folderOrName);
    }
}
