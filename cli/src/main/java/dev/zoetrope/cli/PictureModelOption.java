package dev.zoetrope.cli;

import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which model makes pictures. */
final class PictureModelOption {
    @Option(
            names = "--model",
            paramLabel = "DIR|FILE|ORG/NAME",
            description =
                    "Folder of a pipeline with model_index.json, Stable Diffusion 1.x in one file, or a name on the hub.")
    private @Nullable String model;

    /** The folder or file, fetched from the hub if it is not there yet. */
    Path folder(PrintWriter err) {
        if (model == null) {
            throw new UserError("no model for this is built in; name one with --model");
        }
        Path file = Path.of(model);
        return Files.isRegularFile(file) ? file : ModelOption.fetched(model, err);
    }

    /** The same, or what is built in where no model is named. */
    Path folder(String builtIn, PrintWriter err) {
        return model == null ? BuiltIn.folder(builtIn) : folder(err);
    }
}
