package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.sora.Recaptioner;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * A short wish becomes the detailed caption that a video model was trained on.
 *
 * <pre>{@code
 * try (var words = Recaption.load("Qwen/Qwen2-0.5B-Instruct")) {
 *     String caption = words.caption("a cat on a beach");
 * }
 * }</pre>
 *
 * One wish at a time: calls from several threads wait for each other.
 */
public final class Recaption implements AutoCloseable {
    /** Words that published video models read in any case. */
    private static final int WORDS = 80;
    /** Tokens of an answer: more than so many words have. */
    private static final int TOKENS = 200;

    private static final int SHOWN = 80; // letters of a wish in messages

    private static final String TEMPLATE =
            """
            You write captions for a video generation model. Turn the user's wish into one detailed caption in English.
            Say what is seen and what it looks like, how it moves, where it is, the light, the style, and what the camera does.
            Keep every fact of the wish and add only what fits it. Write one paragraph of at most %d words, nothing else: \
            no title, no quotes, no comment.

            Wish: a dog on a beach
            Caption: A golden retriever runs along a sandy beach at sunset, its wet fur shining in the warm light. Small waves \
            roll in behind it and break into white foam. The camera follows the dog from the side at a steady pace.

            Wish: %s
            Caption:""";

    private interface Writer extends AutoCloseable {
        String write(String wish);

        @Override
        void close();
    }

    private final Writer writer;
    private final String name;

    private Recaption(Writer writer, String name) {
        this.writer = writer;
        this.name = name;
    }

    /** The small model that comes with Zoetrope, for its built-in text-to-video model. */
    public static Recaption builtIn() {
        return load(BuiltIn.folder(BuiltIn.RECAPTION), "builtin:" + BuiltIn.RECAPTION);
    }

    /** A chat model, or one that {@code system: recaption} trained, by its folder or its name on the hub. */
    public static Recaption load(String folderOrName) {
        return load(Hub.ofEnvironment().resolve(folderOrName), folderOrName);
    }

    public static Recaption load(Path folder) {
        return load(folder, String.valueOf(folder.getFileName()));
    }

    private static Recaption load(Path folder, String name) {
        Path config = folder.resolve("config.json");
        if (!Files.isRegularFile(config)) {
            throw new UserError(folder + ": no config.json; expected the folder of a chat model, such as "
                    + "Qwen/Qwen2-0.5B-Instruct, or of a model that a recipe of system recaption trained");
        }
        boolean trained = Json.read(config).get("architectures", List.of()).contains(Recaptioner.CLASS);
        return new Recaption(
                trained ? new Trained(Recaptioner.load(folder)) : new Asked(Chat.load(folder), folder), name);
    }

    /** What the model is called. */
    public String name() {
        return name;
    }

    public synchronized String caption(String wish) {
        if (wish.isBlank()) {
            throw new UserError("the prompt is empty; say what is to be seen");
        }
        String caption = writer.write(wish);
        if (caption.isBlank()) {
            throw new UserError(name + ": answered nothing to \"" + wish.substring(0, Math.min(SHOWN, wish.length()))
                    + "\"; say it otherwise, or take another model");
        }
        return caption;
    }

    @Override
    public synchronized void close() {
        writer.close();
    }

    private record Trained(Recaptioner model) implements Writer {
        @Override
        public String write(String wish) {
            return model.caption(wish);
        }

        @Override
        public void close() {
            model.close();
        }
    }

    /** A chat model with instructions and an example. */
    private record Asked(Chat chat, Path folder) implements Writer {
        @Override
        public String write(String wish) {
            chat.reset();
            String question = String.format(Locale.ROOT, TEMPLATE, WORDS, wish);
            Chat.Options options = Chat.Options.DEFAULT.withMaxTokens(TOKENS).with(Chat.sampling(folder));
            return paragraph(
                    chat.ask(question, List.of(), options, Chat.Listener.NONE).text());
        }

        @Override
        public void close() {
            chat.close();
        }
    }

    /** The first paragraph, without what chat models like to put around it. */
    static String paragraph(String answer) {
        String text = answer.strip().replaceFirst("(?i)^\\**caption\\**:\\**\\s*", "");
        text = text.split("\\R\\s*\\R|\\R(?=Wish:)", 2)[0]
                .replaceAll("\\s+", " ")
                .strip();
        boolean quoted = text.length() > 1
                && "\"\u201c".indexOf(text.charAt(0)) >= 0
                && "\"\u201d".indexOf(text.charAt(text.length() - 1)) >= 0;
        return quoted ? text.substring(1, text.length() - 1).strip() : text;
    }
}
