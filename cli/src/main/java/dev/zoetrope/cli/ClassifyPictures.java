package dev.zoetrope.cli;

import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Classify;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Names what is in pictures. */
@Command(
        name = "classify",
        sortOptions = false,
        description = {
            "Name what is in pictures, out of the classes that the model was trained for.",
            "  zoetrope classify photo.jpg --model google/vit-base-patch16-224"
        })
final class ClassifyPictures implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private Pictures pictures;

    @Mixin
    private ModelOption model;

    @Option(names = "--top", paramLabel = "K", description = "Classes shown (default: ${DEFAULT-VALUE}).")
    private int top = 5;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    @Override
    public Integer call() throws IOException {
        if (pictures.areNone()) {
            throw new ParameterException(spec.commandLine(), "name the pictures to classify");
        }
        pictures.check();
        if (top < 1) {
            throw new UserError("--top " + top + ": at least 1 is needed");
        }
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Stream<Path> files = pictures.files();
        Path folder = model.folder(BuiltIn.VIT, err);
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Classify task = fast.load(() -> Classify.load(folder))) {
            return pictures.each(
                    files,
                    out,
                    err,
                    stop,
                    (names, images) -> LabelOutput.print(names, task.top(images, top), pictures.asJson(), out));
        }
    }
}
