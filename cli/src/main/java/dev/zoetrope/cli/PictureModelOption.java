package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.Hub;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Which model makes pictures. */
final class PictureModelOption {
    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|FILE|ORG/NAME",
            description =
                    "Folder of a pipeline with model_index.json, Stable Diffusion 1.x in one file, or a name on the hub.")
    private String model;

    /** The folder or file, fetched from the hub if it is not there yet. */
    Path folder(PrintWriter err) {
        if (Files.exists(Path.of(model))) {
            return Path.of(model);
        }
        long[] told = new long[1];
        Hub hub = new Hub(Hub.Settings.of(System.getenv()), (file, done, total) -> {
            long now = System.nanoTime();
            if (done == total || now - told[0] > 2_000_000_000L) {
                told[0] = now;
                err.println(file + ": " + (done >> 20) + " of " + (total >> 20) + " MiB");
                err.flush();
            }
        });
        return hub.resolve(model);
    }
}
