package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tasks.AnyToAny;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.ChatModel.Turn;
import dev.zoetrope.tasks.JsonSchema;
import dev.zoetrope.tensor.UserError;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Answers questions about pictures. */
@Command(
        name = "chat",
        sortOptions = false,
        description = {
            "Ask a model about pictures: one question, or without one a conversation.",
            "  zoetrope chat --model llava-hf/llava-1.5-7b-hf --image a.jpg \"What is unusual here?\"",
            "  zoetrope chat --model DIR --audio rain.wav \"Show me what sounds like this.\"   (a NExT-GPT)",
            "In a conversation: /image FILE shows a picture or a clip with the next question, /reset begins anew,",
            "/save FILE writes what was said (.json, else plain text), /quit or Ctrl-D ends."
        })
final class Talk implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "QUESTION", description = "Without one: a conversation.")
    private @Nullable String question;

    @Option(
            names = "--image",
            paramLabel = "FILE",
            description = "A picture for the first question, or a clip, of which some frames are shown.")
    private List<Path> files = List.of();

    @Option(names = "--video", paramLabel = "FILE", description = "A clip, for a model that answers with any media.")
    private List<Path> clips = List.of();

    @Option(names = "--audio", paramLabel = "FILE", description = "A sound, likewise.")
    private List<Path> sounds = List.of();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "NAME",
            description = "Of such a model: how the names of the files begin that it answers with (default: answer).")
    private Path output = Path.of("answer");

    @Mixin
    private ChatModelOption model;

    @Mixin
    private SamplingOptions sampling;

    @Option(
            names = "--frames",
            paramLabel = "N",
            description = "Frames shown of a clip, evenly spread (default: ${DEFAULT-VALUE}).")
    private int frames = 4;

    @Option(
            names = "--truncate",
            description = "Forget the oldest questions when the conversation gets too long for the model.")
    private boolean forgets;

    @Option(names = "--schema", paramLabel = "FILE", description = "The answer is JSON that keeps to this JSON schema.")
    private @Nullable Path schema;

    @Option(names = "--stop", paramLabel = "TEXT", description = "A text that ends the answer; may be repeated.")
    private List<String> stops = List.of();

    @Option(names = "--json", description = "Print a line of JSON for each answer instead of streaming it.")
    private boolean json;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() throws IOException {
        if (frames < 1) {
            throw new UserError("--frames " + frames + ": at least 1 is needed");
        }
        sampling.check();
        PrintWriter err = spec.commandLine().getErr();
        Path folder = model.folder(err);
        if (AnyToAny.isIn(folder)) {
            return anyToAny(folder, err);
        }
        if (!clips.isEmpty() || !sounds.isEmpty()) {
            throw new UserError((clips.isEmpty() ? "--audio" : "--video") + ": " + folder
                    + " reads pictures only (a clip's frames by --image); a NExT-GPT reads any media");
        }
        List<Image> images = new ArrayList<>();
        for (Path file : files) {
            images.addAll(pictures(file));
        }
        JsonSchema look = schema == null ? null : JsonSchema.of(Json.read(schema));
        engine.start(err);
        try (Stop stop = new Stop("stopping ...", err);
                Chat chat = model.load(folder)) {
            Chat.Options options = look == null ? plain(folder) : plain(folder).with(look);
            if (question != null) {
                ask(chat, question, images, options, stop);
            } else {
                converse(chat, images, options, stop);
            }
        }
        return 0;
    }

    private Chat.Options plain(Path folder) {
        return sampling.options(folder).withForgetting(forgets).withStops(stops);
    }

    private int anyToAny(Path folder, PrintWriter err) {
        if (question == null) {
            throw new UserError(folder + ": a NExT-GPT answers one question at a time; say what is asked");
        }
        AnyToAny.Question asked = AnswerWithMedia.question(question, files, clips, sounds);
        engine.start(err);
        new AnswerWithMedia(output, json, spec.commandLine().getOut(), err)
                .ask(folder, asked, sampling.options(AnyToAny.Options.DEFAULT));
        return 0;
    }

    /** A picture, or some frames of a clip. */
    private List<Image> pictures(Path file) {
        String name = file.toString().toLowerCase(Locale.ROOT);
        boolean clip =
                name.endsWith(".mp4") || name.endsWith(".webm") || name.endsWith(".gif") || name.endsWith(".mov");
        return clip ? Clips.read(file, Clips.Limits.spread(frames)).frames() : List.of(Images.read(file));
    }

    private void ask(Chat chat, String text, List<Image> images, Chat.Options options, Stop stop) {
        PrintWriter out = spec.commandLine().getOut();
        Chat.Answer a = chat.ask(text, images, options, piece -> {
            if (!json) {
                out.print(piece);
                out.flush();
            }
            return !stop.requested();
        });
        if (json) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("question", text);
            line.put("answer", a.text());
            line.put("end", a.end().name().toLowerCase(Locale.ROOT));
            line.put("prompt_tokens", a.promptTokens());
            line.put("reused_tokens", a.reusedTokens());
            line.put("tokens", a.tokens());
            line.put("seconds_to_first", a.firstSeconds());
            line.put("seconds", a.seconds());
            line.put("seed", options.seed());
            out.println(Pictures.json(line));
        } else {
            out.println();
        }
        out.flush();
    }

    private void converse(Chat chat, List<Image> first, Chat.Options options, Stop stop) throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset()));
        List<Image> images = new ArrayList<>(first);
        while (!stop.requested()) {
            err.print("> ");
            err.flush();
            String line = in.readLine();
            if (line == null || line.strip().equals("/quit")) {
                return;
            }
            try {
                line(chat, line.strip(), images, options, stop);
            } catch (UserError e) { // a conversation goes on after a mistake
                err.println("zoetrope: " + e.getMessage());
                err.flush();
            }
        }
    }

    private void line(Chat chat, String line, List<Image> images, Chat.Options options, Stop stop) throws IOException {
        String[] words = line.split("\\s+", 2);
        String rest = words.length > 1 ? words[1] : "";
        switch (words[0]) {
            case "" -> {}
            case "/image" -> images.addAll(pictures(file(words[0], rest)));
            case "/reset" -> {
                chat.reset();
                images.clear();
            }
            case "/save" -> save(chat, file(words[0], rest));
            default -> {
                if (line.startsWith("/")) {
                    throw new UserError(words[0] + " is no command; there are /image FILE, /reset, /save FILE, /quit");
                }
                ask(chat, line, List.copyOf(images), options, stop);
                images.clear();
            }
        }
    }

    private static Path file(String command, String name) {
        if (name.isEmpty()) {
            throw new UserError(command + " needs a file");
        }
        return Path.of(name);
    }

    private static void save(Chat chat, Path file) {
        StringBuilder text = new StringBuilder();
        if (file.toString().endsWith(".json")) {
            List<Map<String, Object>> turns = new ArrayList<>();
            for (Turn t : chat.history()) {
                Map<String, Object> turn = new LinkedHashMap<>();
                turn.put("question", t.question());
                turn.put("images", t.images().size());
                turn.put("answer", t.answer());
                turns.add(turn);
            }
            text.append(Pictures.json(turns)).append('\n');
        } else {
            for (Turn t : chat.history()) {
                text.append("> ")
                        .append(t.question())
                        .append('\n')
                        .append(t.answer())
                        .append("\n\n");
            }
        }
        AtomicFile.write(file, out -> out.write(text.toString().getBytes(StandardCharsets.UTF_8)));
    }
}
