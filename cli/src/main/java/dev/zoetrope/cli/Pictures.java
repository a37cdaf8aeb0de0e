package dev.zoetrope.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.PictureFiles;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * The pictures that a command is given, read a few at a time, so that a folder of any size needs the memory of those few.
 * One that cannot be read is told and left out; the others go on.
 */
final class Pictures {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @Parameters(
            arity = "0..*",
            paramLabel = "FILE",
            description = "Pictures, folders of them, or patterns such as 'photos/**.jpg'; - reads names from standard"
                    + " input.")
    private List<String> arguments = List.of();

    @Option(
            names = "--batch",
            paramLabel = "N",
            description = "Pictures that go through the model together (default: ${DEFAULT-VALUE}).")
    private int batch = 8;

    @Option(names = "--json", description = "Print a line of JSON for each picture.")
    private boolean json;

    /** What is done with pictures that were read. */
    @FunctionalInterface
    interface Action {
        void take(List<Path> files, List<Image> images) throws IOException;
    }

    boolean areNone() {
        return arguments.isEmpty();
    }

    boolean asJson() {
        return json;
    }

    /** Refuses what cannot be, before a model is loaded. */
    void check() {
        if (batch < 1) {
            throw new UserError("--batch " + batch + ": at least 1 is needed");
        }
    }

    /** The files, found before a model is loaded; names on standard input are read one by one as they are needed. */
    Stream<Path> files() {
        if (arguments.equals(List.of("-"))) {
            return new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
                    .lines()
                    .filter(line -> !line.isBlank())
                    .map(Path::of);
        }
        return PictureFiles.of(arguments).stream();
    }

    /** Reads all and acts on them; returns the exit code. */
    int each(Stream<Path> files, PrintWriter out, PrintWriter err, Stop stop, Action action) throws IOException {
        List<Path> names = new ArrayList<>();
        List<Image> images = new ArrayList<>();
        int failed = 0;
        for (Path file : (Iterable<Path>) files::iterator) {
            if (stop.requested()) {
                throw new CancellationException();
            }
            try {
                images.add(Images.read(file));
                names.add(file);
            } catch (UserError e) {
                failed++;
                tell(file, String.valueOf(e.getMessage()), out, err);
            }
            if (names.size() == batch) {
                act(action, names, images, out);
            }
        }
        if (!names.isEmpty()) {
            act(action, names, images, out);
        }
        return failed == 0 ? ExitCode.OK : ExitCode.USAGE;
    }

    private static void act(Action action, List<Path> names, List<Image> images, PrintWriter out) throws IOException {
        action.take(List.copyOf(names), List.copyOf(images));
        out.flush();
        names.clear();
        images.clear();
    }

    private void tell(Path file, String reason, PrintWriter out, PrintWriter err) {
        if (json) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("file", file.toString());
            line.put("error", reason);
            out.println(json(line));
        }
        err.println("zoetrope: " + reason);
        err.flush();
    }

    /** A value as one line of JSON. */
    static String json(Object value) {
        try {
            return MAPPER.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
