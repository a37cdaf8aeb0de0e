package dev.zoetrope.cli;

import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.ZeroShot;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Classifies pictures by names that are given with the call. */
@Command(
        name = "zero-shot",
        sortOptions = false,
        description = {
            "Classify pictures by names of your own.",
            "  zoetrope zero-shot photo.jpg --labels cat,dog,truck --template \"a photo of a {}\""
        })
final class ZeroShotPictures implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private Pictures pictures;

    @Option(
            names = "--labels",
            required = true,
            split = ",",
            paramLabel = "NAME",
            description = "The classes to choose from, with commas between or repeated.")
    private List<String> labels = List.of();

    @Option(
            names = "--template",
            paramLabel = "TEXT",
            description = "A sentence with {} for the label; may be repeated, then the mean of all counts (default: the"
                    + " model's own).")
    private List<String> templates = new ArrayList<>();

    @Option(names = "--ensemble", description = "Also use seven sentences that do well on many kinds of pictures.")
    private boolean ensemble;

    @Mixin
    private ModelOption model;

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
        List<String> names = labels.stream().map(String::strip).toList();
        List<String> sentences = new ArrayList<>(templates);
        if (ensemble) {
            sentences.addAll(ZeroShot.SEVEN);
        }
        ZeroShot.check(names, sentences);
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Stream<Path> files = pictures.files();
        Path folder = model.folder(BuiltIn.CLIP, err);
        engine.start(err);
        Embed embed = fast.load(() -> Embed.load(folder));
        try (Stop stop = new Stop("stopping ...", err);
                ZeroShot task = ZeroShot.of(embed, names, sentences)) {
            long cut = embed.cut(task.sentences());
            if (cut > 0) {
                err.println(
                        "zoetrope: warning: labels and templates make " + cut + " sentences that are longer than the "
                                + embed.maxTokens() + " tokens that the model reads; what comes after was left out");
            }
            return pictures.each(
                    files,
                    out,
                    err,
                    stop,
                    (paths, images) -> LabelOutput.print(paths, task.classify(images), pictures.asJson(), out));
        }
    }
}
