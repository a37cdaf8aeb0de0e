package dev.zoetrope.cli;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.Retrieve;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Holds pictures and texts against each other by BLIP-2. */
@Command(
        name = "retrieve",
        sortOptions = false,
        description = {
            "Find the pictures that fit a text, or for each picture the texts that fit it: all are compared (ITC), the",
            "best are read again together with what was asked for (ITM).",
            "  zoetrope retrieve photos/ --text \"two dogs\" --model Salesforce/blip2-itm-vit-g",
            "  zoetrope retrieve photo.jpg --texts captions.txt --model runs/blip2/retrieval"
        })
final class RetrievePictures implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private Pictures pictures;

    @Option(names = "--text", paramLabel = "TEXT", description = "Find the pictures that fit this.")
    private @Nullable String text;

    @Option(
            names = "--texts",
            paramLabel = "FILE",
            description = "Find for each picture the texts that fit it, one a line of this file.")
    private @Nullable Path texts;

    @Option(
            names = {"-k", "--top"},
            paramLabel = "K",
            description = "How many are shown (default: ${DEFAULT-VALUE}).")
    private int top = 10;

    @Option(
            names = "--again",
            paramLabel = "N",
            description = "How many of the most similar ones are read again (default: ${DEFAULT-VALUE}; 0 for none).")
    private int again = 32;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|ORG/NAME",
            description = "Folder of a BLIP-2 for retrieval, or its name on the hub.")
    private String model;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() throws IOException {
        if (pictures.areNone()) {
            throw new ParameterException(spec.commandLine(), "name the pictures to look through");
        }
        if ((text == null) == (texts == null)) {
            throw new ParameterException(
                    spec.commandLine(), "say what to hold the pictures against: either --text TEXT or --texts FILE");
        }
        if (top < 1 || again < 0) {
            throw new UserError(
                    top < 1 ? "--top " + top + ": at least 1 is needed" : "--again " + again + ": 0 is the least");
        }
        pictures.check();
        PrintWriter err = spec.commandLine().getErr();
        List<String> lines = texts == null ? List.of() : lines(texts);
        Stream<Path> files = pictures.files();
        Path folder = ModelOption.fetched(model, err);
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Retrieve task = Retrieve.load(folder)) {
            return text != null ? byText(task, text, files, stop) : byPicture(task, lines, files, stop);
        }
    }

    private static List<String> lines(Path file) {
        try {
            List<String> r = Files.readAllLines(file, StandardCharsets.UTF_8).stream()
                    .filter(line -> !line.isBlank())
                    .toList();
            if (r.isEmpty()) {
                throw new UserError(file + ": no text in it; write one a line");
            }
            return r;
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read as lines of text: " + e, e);
        }
    }

    private int byText(Retrieve task, String wanted, Stream<Path> files, Stop stop) throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        List<Path> names = new ArrayList<>();
        List<float[]> index = new ArrayList<>();
        int code = pictures.each(files, out, spec.commandLine().getErr(), stop, (paths, images) -> {
            names.addAll(paths);
            index.addAll(task.index(images));
        });
        if (names.isEmpty()) {
            return code;
        }
        for (Retrieve.Found f : task.pictures(wanted, index, i -> Images.read(names.get(i)), top, again)) {
            print("file", names.get(f.index()).toString(), null, f, out);
        }
        out.flush();
        return code;
    }

    private int byPicture(Retrieve task, List<String> lines, Stream<Path> files, Stop stop) throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        return pictures.each(files, out, spec.commandLine().getErr(), stop, (paths, images) -> {
            for (int i = 0; i < paths.size(); i++) {
                Image image = images.get(i);
                if (!pictures.asJson()) {
                    out.println(paths.get(i));
                }
                for (Retrieve.Found f : task.texts(image, lines, top, again)) {
                    print("text", lines.get(f.index()), paths.get(i), f, out);
                }
            }
        });
    }

    private void print(String kind, String found, @Nullable Path picture, Retrieve.Found f, PrintWriter out) {
        if (pictures.asJson()) {
            Map<String, Object> line = new LinkedHashMap<>();
            if (picture != null) {
                line.put("file", picture.toString());
            }
            line.put(kind, found);
            line.put("similarity", f.similarity());
            line.put("match", Double.isNaN(f.match()) ? null : f.match());
            out.println(Pictures.json(line));
        } else {
            String match = Double.isNaN(f.match()) ? "      -" : String.format(Locale.ROOT, "%7.4f", f.match());
            out.printf(Locale.ROOT, "%s %7.4f  %s%n", match, f.similarity(), found);
        }
    }
}
