package dev.zoetrope.cli;

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
        Path file = Path.of(model);
        return Files.isRegularFile(file) ? file : ModelOption.fetched(model, err);
    }
}
