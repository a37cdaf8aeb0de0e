package dev.zoetrope.cli;

import dev.zoetrope.tasks.Caption;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
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

/** Says what is to be seen in pictures. */
@Command(
        name = "caption",
        sortOptions = false,
        description = {
            "Say in a sentence what is to be seen in each picture.",
            "  zoetrope caption photos/ --model llava-hf/llava-1.5-7b-hf --json > captions.jsonl",
            "  zoetrope caption photos/ --model Salesforce/blip2-opt-2.7b --prompt \"a photo of\""
        })
final class CaptionPictures implements Callable<Integer> {
    private static final String ASKED = "Describe this picture in one sentence.";

    @Spec
    private CommandSpec spec;

    @Mixin
    private Pictures pictures;

    @Mixin
    private ChatModelOption model;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description = "What the model is asked (default: \"" + ASKED
                    + "\"), or how BLIP-2's captions begin (default: \"a photo of\").")
    private @Nullable String prompt;

    @Option(
            names = "--beams",
            paramLabel = "N",
            description = "For BLIP-2: captions of a picture that are followed side by side (default: 5, or 1 with"
                    + " --greedy or a temperature).")
    private @Nullable Integer beams;

    @Mixin
    private SamplingOptions sampling;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() throws IOException {
        if (pictures.areNone()) {
            throw new ParameterException(spec.commandLine(), "name the pictures to describe");
        }
        if (prompt != null && prompt.isBlank()) {
            throw new UserError("--prompt is empty; say what the model is to be asked");
        }
        if (beams != null && beams < 1) {
            throw new UserError("--beams " + beams + ": at least 1 is needed");
        }
        pictures.check();
        sampling.check();
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Stream<Path> files = pictures.files();
        Path folder = model.folder(err);
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err)) {
            return Caption.isFor(folder) ? begun(folder, files, out, err, stop) : asked(folder, files, out, err, stop);
        }
    }

    /** By BLIP-2, a batch at a time. */
    private int begun(Path folder, Stream<Path> files, PrintWriter out, PrintWriter err, Stop stop) throws IOException {
        Caption.Options o = sampling.captions(Caption.Options.DEFAULT);
        o = prompt == null ? o : o.withPrompt(prompt);
        Caption.Options options = beams == null ? o : o.withBeams(beams);
        try (Caption captions = model.captions(folder)) {
            return pictures.each(files, out, err, stop, (names, images) -> {
                List<String> texts = captions.of(images, options);
                for (int i = 0; i < names.size(); i++) {
                    print(names.get(i), texts.get(i), out);
                }
            });
        }
    }

    /** By a model that answers questions. */
    private int asked(Path folder, Stream<Path> files, PrintWriter out, PrintWriter err, Stop stop) throws IOException {
        if (beams != null) {
            throw new UserError("--beams is for BLIP-2; " + folder + " holds a model that is asked");
        }
        String question = prompt == null ? ASKED : prompt;
        try (Chat chat = model.load(folder)) {
            Chat.Options options = sampling.options(folder);
            return pictures.each(files, out, err, stop, (names, images) -> {
                for (int i = 0; i < images.size(); i++) {
                    Chat.Answer a = chat.ask(question, List.of(images.get(i)), options, piece -> !stop.requested());
                    chat.reset();
                    print(names.get(i), a.text(), out);
                }
            });
        }
    }

    private void print(Path file, String caption, PrintWriter out) {
        if (pictures.asJson()) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("file", file.toString());
            line.put("caption", caption);
            out.println(Pictures.json(line));
        } else {
            out.println(file + "\t" + caption);
        }
        out.flush();
    }
}
