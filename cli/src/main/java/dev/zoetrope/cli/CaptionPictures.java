package dev.zoetrope.cli;

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
            "  zoetrope caption photos/ --model llava-hf/llava-1.5-7b-hf --json > captions.jsonl"
        })
final class CaptionPictures implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private Pictures pictures;

    @Mixin
    private ChatModelOption model;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description = "What the model is asked (default: \"${DEFAULT-VALUE}\").")
    private String prompt = "Describe this picture in one sentence.";

    @Mixin
    private SamplingOptions sampling;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() throws IOException {
        if (pictures.areNone()) {
            throw new ParameterException(spec.commandLine(), "name the pictures to describe");
        }
        if (prompt.isBlank()) {
            throw new UserError("--prompt is empty; say what the model is to be asked");
        }
        pictures.check();
        sampling.check();
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Stream<Path> files = pictures.files();
        Path folder = model.folder(err);
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Chat chat = model.load(folder)) {
            Chat.Options options = sampling.options(folder);
            return pictures.each(files, out, err, stop, (names, images) -> {
                for (int i = 0; i < images.size(); i++) {
                    Chat.Answer a = chat.ask(prompt, List.of(images.get(i)), options, piece -> !stop.requested());
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
