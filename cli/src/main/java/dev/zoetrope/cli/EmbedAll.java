package dev.zoetrope.cli;

import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Turns pictures and texts into vectors. */
@Command(
        name = "embed",
        sortOptions = false,
        description = {
            "Turn pictures and texts into vectors of one space.",
            "  zoetrope embed photos/ -o photos.npy",
            "  zoetrope embed --text \"two dogs\"",
            "  cat captions.txt | zoetrope embed --texts - -o captions.jsonl"
        })
final class EmbedAll implements Callable<Integer> {
    private static final int TEXTS_TOGETHER = 32;

    @Spec
    private CommandSpec spec;

    @Mixin
    private Pictures pictures;

    @Option(names = "--text", paramLabel = "TEXT", description = "A text; may be repeated.")
    private List<String> texts = new ArrayList<>();

    @Option(names = "--texts", paramLabel = "FILE", description = "Texts, one a line; - reads standard input.")
    private @Nullable String textFile;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description =
                    "Ends in .jsonl, in .parquet, or in .npy for an array whose rows are named in a .txt beside it"
                            + " (default: lines of JSON on standard output).")
    private @Nullable Path output;

    @Mixin
    private ModelOption model;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    @Override
    public Integer call() throws IOException {
        if (pictures.areNone() && texts.isEmpty() && textFile == null) {
            throw new ParameterException(spec.commandLine(), "name pictures, or texts by --text or --texts");
        }
        pictures.check();
        VectorOutput.check(output);
        if (textFile != null && !textFile.equals("-") && !Files.isRegularFile(Path.of(textFile))) {
            throw new UserError(textFile + ": there is no such file");
        }
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Stream<Path> files = pictures.files();
        Path folder = model.folder(BuiltIn.CLIP, err);
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Embed task = fast.load(() -> Embed.load(folder));
                VectorOutput vectors = VectorOutput.open(output, out)) {
            int code = pictures.areNone()
                    ? ExitCode.OK
                    : pictures.each(files, out, err, stop, (names, images) -> {
                        float[][] rows = task.images(images);
                        for (int i = 0; i < rows.length; i++) {
                            vectors.add("file", names.get(i).toString(), rows[i]);
                        }
                    });
            long cut = embed(texts.iterator(), task, vectors);
            if (textFile != null) {
                try (BufferedReader lines = lines(textFile)) {
                    cut += embed(lines.lines().iterator(), task, vectors);
                }
            }
            vectors.finish();
            if (cut > 0) {
                err.println("zoetrope: warning: " + cut + (cut == 1 ? " text is" : " texts are") + " longer than the "
                        + task.maxTokens() + " tokens that the model reads; what comes after was left out");
            }
            return code;
        }
    }

    private static BufferedReader lines(String file) throws IOException {
        return file.equals("-")
                ? new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
                : Files.newBufferedReader(Path.of(file));
    }

    /** Returns how many texts were cut. */
    private static long embed(Iterator<String> texts, Embed task, VectorOutput vectors) throws IOException {
        long cut = 0;
        while (texts.hasNext()) {
            List<String> together = new ArrayList<>();
            while (texts.hasNext() && together.size() < TEXTS_TOGETHER) {
                together.add(texts.next());
            }
            cut += task.cut(together);
            float[][] rows = task.texts(together);
            for (int i = 0; i < rows.length; i++) {
                vectors.add("text", together.get(i), rows[i]);
            }
        }
        return cut;
    }
}
