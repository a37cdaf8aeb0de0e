package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.language.Constrained;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.nn.Adapters;
import dev.zoetrope.nn.Lora;
import dev.zoetrope.tasks.ChatModel.Turn;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import org.jspecify.annotations.Nullable;

/**
 * A conversation with a model about pictures, or without any.
 *
 * <pre>{@code
 * try (Chat chat = Chat.load(folder)) {
 *     chat.ask("What is unusual here?", List.of(Images.read(Path.of("a.jpg"))), Chat.Options.DEFAULT, text -> {
 *         System.out.print(text);
 *         return true;
 *     });
 *     System.out.println(chat.ask("Why?").text());
 * }
 * }</pre>
 *
 * Each picture goes through the vision tower once, and what the conversation already had is not computed again. One
 * question at a time: calls from several threads wait for each other.
 */
public final class Chat implements AutoCloseable {
    /**
     * @param maxTokens longest answer
     * @param sampling how tokens are chosen
     * @param seed of what is drawn
     * @param forgets whether the oldest questions are left out when the conversation gets too long; refused otherwise
     * @param stops texts that end an answer and are no part of it, beside the model's own
     * @param schema what an answer in JSON has to look like; null for an answer in words
     */
    public record Options(
            int maxTokens,
            Sampling sampling,
            long seed,
            boolean forgets,
            List<String> stops,
            @Nullable JsonSchema schema) {
        /** Up to 512 tokens, the likeliest each time. */
        public static final Options DEFAULT = new Options(512, Sampling.GREEDY, 0, false, List.of(), null);

        public Options {
            Check.positive(maxTokens, "max-tokens");
            stops = List.copyOf(stops);
            if (stops.contains("")) {
                throw new UserError("a text that ends the answer is empty; leave it out");
            }
        }

        public Options with(Sampling how) {
            return new Options(maxTokens, how, seed, forgets, stops, schema);
        }

        public Options withMaxTokens(int value) {
            return new Options(value, sampling, seed, forgets, stops, schema);
        }

        public Options withSeed(long value) {
            return new Options(maxTokens, sampling, value, forgets, stops, schema);
        }

        public Options withForgetting(boolean value) {
            return new Options(maxTokens, sampling, seed, value, stops, schema);
        }

        public Options withStops(List<String> texts) {
            return new Options(maxTokens, sampling, seed, forgets, texts, schema);
        }

        public Options with(JsonSchema look) {
            return new Options(maxTokens, sampling, seed, forgets, stops, look);
        }
    }

    /** Is told each piece of an answer. */
    @FunctionalInterface
    public interface Listener {
        Listener NONE = text -> true;

        /** Returns false to end the answer here. */
        boolean text(String piece);
    }

    /** Why an answer ended. */
    public enum End {
        /** The model ended it. */
        SAID,
        /** It reached the longest length. */
        LENGTH,
        /** The listener ended it. */
        STOPPED
    }

    /**
     * @param promptTokens of the conversation before the answer
     * @param reusedTokens of these that were known from before
     * @param firstSeconds until the first token
     * @param seconds in all
     */
    public record Answer(
            String text,
            End end,
            int promptTokens,
            int reusedTokens,
            int tokens,
            double firstSeconds,
            double seconds) {}

    private final ChatModel model;
    private final KvCache cache = new KvCache();
    private final List<Turn> turns = new ArrayList<>();
    private final List<Tensor> seen = new ArrayList<>(); // of the pictures of all turns, in order
    private long[] cached = new long[0]; // keys of what the cache holds
    private @Nullable Weights adapter;
    private TokenMask.@Nullable Vocabulary vocabulary; // read when JSON is first asked for

    private Chat(ChatModel model) {
        this.model = model;
    }

    /** Opens the folder of a model, in float32. */
    public static Chat load(Path folder) {
        return load(folder, ChatModel.Precision.EXACT);
    }

    /** Opens the folder of a model. */
    public static Chat load(Path folder, ChatModel.Precision precision) {
        return new Chat(ChatModel.load(folder, precision));
    }

    /** Takes the model over: it is closed with the conversation. */
    public static Chat of(ChatModel model) {
        return new Chat(model);
    }

    /**
     * Changes the model by what peft trained on it.
     *
     * @param folder with adapter_config.json and adapter_model.safetensors
     * @throws UserError if the adapter was trained on another model
     */
    public synchronized void adapt(Path folder) {
        Lora.Config config = Lora.Config.of(Json.read(folder.resolve("adapter_config.json")));
        try (Checkpoint file = Checkpoint.open(folder.resolve("adapter_model.safetensors"))) {
            Weights w = Weights.load(file);
            try {
                new Adapters(config, model.weights(), w.at("base_model.model")).attach(1);
                if (!w.unused().isEmpty()) {
                    throw new UserError("it also holds " + w.unused().get(0));
                }
            } catch (UserError e) {
                w.close();
                throw new UserError(
                        folder + ": this adapter does not belong to " + model.name() + ": " + e.getMessage(), e);
            }
            adapter = w;
        }
        forget();
    }

    /** An answer with the default options. */
    public Answer ask(String question) {
        return ask(question, List.of(), Options.DEFAULT, Listener.NONE);
    }

    /**
     * Asks the next question of the conversation.
     *
     * @param images that come with the question; where the question has {@code <image>} in it they stand there, else in
     *     front
     * @param listener told each piece of the answer
     */
    public synchronized Answer ask(String question, List<Image> images, Options o, Listener listener) {
        if (question.isBlank()) {
            throw new UserError("the question is empty");
        }
        int before = turns.stream().mapToInt(t -> t.images().size()).sum();
        if (before + images.size() > model.mostImages()) {
            throw new UserError(
                    model.mostImages() == 0
                            ? model.name() + " reads words only; for pictures take a vision-language model"
                            : model.name() + " takes at most " + model.mostImages()
                                    + " pictures in a conversation, and " + (before + images.size())
                                    + " were given; begin a new one");
        }
        int known = seen.size();
        List<Turn> all = new ArrayList<>(turns);
        all.add(new Turn(question, images, ""));
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            for (Image image : images) {
                seen.add(Scope.detach(model.look(image)));
            }
            Answer answer = answer(all, o, listener);
            Turn last = all.remove(all.size() - 1);
            turns.clear();
            turns.addAll(all);
            turns.add(new Turn(last.question(), last.images(), answer.text()));
            return answer;
        } catch (RuntimeException | Error e) {
            int kept = Math.min(known, seen.size()); // the question was not asked
            seen.subList(kept, seen.size()).forEach(Tensor::close);
            seen.subList(kept, seen.size()).clear();
            throw e;
        }
    }

    private Answer answer(List<Turn> all, Options o, Listener listener) {
        long start = System.nanoTime();
        ChatModel.Row row = fitting(all, o);
        long[] keys = row.keys();
        int same = 0;
        while (same < Math.min(cached.length, keys.length - 1) && cached[same] == keys[same]) {
            same++; // at least the last token is read again: its scores are needed
        }
        if (same < cache.length()) {
            cache.truncate(same);
        }
        int reused = same;
        List<String> stops = new ArrayList<>(model.stopTexts());
        stops.addAll(o.stops);
        TextStream text = new TextStream(model.tokenizer(), stops);
        TokenMask mask = o.schema == null ? null : new TokenMask(vocabulary(), model.ends(), o.schema);
        int room = model.mostTokens() - keys.length;
        Generation.Options options =
                new Generation.Options(Math.min(o.maxTokens, room), o.sampling, 1, 1, false, model.ends(), 0, o.seed);
        List<Long> said = new ArrayList<>();
        long[] first = new long[1];
        boolean[] listening = {true};
        Tensor rest = row.embedded().narrow(1, same, keys.length - same);
        try (Steps plain = model.continueWith(rest, cache);
                Steps steps = mask == null ? plain : new Constrained(plain, step -> mask.allowed())) {
            long[] words = Arrays.stream(keys).filter(k -> k >= 0).toArray();
            Tensor history = Tensor.of(words, 1, words.length);
            Generation.run(
                    steps,
                    history,
                    options,
                    ids -> {
                        first[0] = said.isEmpty() ? System.nanoTime() : first[0];
                        said.add(ids[0]);
                        if (mask != null) {
                            mask.said(ids[0]);
                        }
                        if (!model.ends().contains((int) ids[0])) {
                            listening[0] = show(text.add(ids[0]), listener);
                        }
                        return listening[0] && !text.stopped() && (mask == null || !mask.isFinal());
                    },
                    Generation.Observer.NONE);
        } finally {
            cached = known(keys, said);
        }
        listening[0] &= show(text.end(), listener);
        boolean ended = text.stopped()
                || (mask != null && mask.isFinal())
                || model.ends().contains(said.get(said.size() - 1).intValue());
        return new Answer(
                text.text().strip(),
                ended ? End.SAID : listening[0] ? End.LENGTH : End.STOPPED,
                keys.length,
                reused,
                said.size(),
                (first[0] - start) / 1e9,
                (System.nanoTime() - start) / 1e9);
    }

    private TokenMask.Vocabulary vocabulary() {
        TokenMask.Vocabulary known = vocabulary;
        if (known == null) {
            known = new TokenMask.Vocabulary(model.tokenizer());
            vocabulary = known;
        }
        return known;
    }

    /**
     * The next question of the conversation, asked when somebody subscribes, as often as somebody does; the pieces of the
     * answer come as they are said, no faster than they are taken. Whoever cancels ends the answer.
     */
    public Flow.Publisher<String> stream(String question, List<Image> images, Options o) {
        return subscriber -> {
            ExecutorService thread = Executors.newSingleThreadExecutor(r -> {
                Thread t = new Thread(r, "chat");
                t.setDaemon(true);
                return t;
            });
            SubmissionPublisher<String> publisher = new SubmissionPublisher<>();
            publisher.subscribe(subscriber);
            thread.execute(() -> {
                try {
                    ask(question, images, o, piece -> {
                        publisher.submit(piece);
                        return publisher.hasSubscribers();
                    });
                    publisher.close();
                } catch (RuntimeException | Error e) {
                    publisher.closeExceptionally(e);
                }
            });
            thread.shutdown();
        };
    }

    private static boolean show(String piece, Listener listener) {
        return piece.isEmpty() || listener.text(piece);
    }

    /** What the cache holds after an answer: the last token said was not read any more. */
    private long[] known(long[] keys, List<Long> said) {
        long[] r = Arrays.copyOf(keys, (int) cache.length());
        for (int i = keys.length; i < r.length; i++) {
            r[i] = said.get(i - keys.length);
        }
        return r;
    }

    /** The conversation as a row that leaves room for an answer, without its oldest questions if need be. */
    private ChatModel.Row fitting(List<Turn> all, Options o) {
        ChatModel.Row row = model.read(all, seen);
        while (row.keys().length >= model.mostTokens()) {
            if (!o.forgets || all.size() == 1) {
                throw new UserError("the conversation has " + row.keys().length + " tokens and " + model.name()
                        + " reads at most " + model.mostTokens()
                        + ", answer included: begin a new one, or let the oldest questions be forgotten (--truncate)");
            }
            Turn oldest = all.remove(0);
            for (int i = 0; i < oldest.images().size(); i++) {
                seen.remove(0).close();
            }
            row = model.read(all, seen);
        }
        return row;
    }

    /**
     * Takes up a conversation that is kept elsewhere, in the place of the one at hand. What both begin with is not computed
     * again.
     *
     * @param said questions with their answers
     */
    public synchronized void resume(List<Turn> said) {
        List<Image> before = images(turns);
        List<Image> after = images(said);
        if (after.size() > model.mostImages()) {
            throw new UserError(model.name() + " takes at most " + model.mostImages()
                    + " pictures in a conversation, and this one has " + after.size());
        }
        int same = 0;
        while (same < Math.min(before.size(), after.size()) && before.get(same).equals(after.get(same))) {
            same++;
        }
        if (same < before.size()) {
            forget(); // tokens of pictures are told apart by their places only
        }
        turns.clear();
        seen.subList(same, seen.size()).forEach(Tensor::close);
        seen.subList(same, seen.size()).clear();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            for (Image image : after.subList(same, after.size())) {
                seen.add(Scope.detach(model.look(image)));
            }
        }
        turns.addAll(said);
    }

    private static List<Image> images(List<Turn> turns) {
        return turns.stream().flatMap(t -> t.images().stream()).toList();
    }

    /** What was said so far. */
    public synchronized List<Turn> history() {
        return List.copyOf(turns);
    }

    /** Begins a new conversation. */
    public synchronized void reset() {
        turns.clear();
        seen.forEach(Tensor::close);
        seen.clear();
        forget();
    }

    private void forget() {
        cache.close();
        cached = new long[0];
    }

    /** How tokens are chosen by default: as the checkpoint's generation_config.json says, else the likeliest. */
    public static Sampling sampling(Path folder) {
        Path file = folder.resolve("generation_config.json");
        Json j = Files.isRegularFile(file) ? Json.read(file) : Json.empty();
        if (!j.get("do_sample", false)) {
            return Sampling.GREEDY.withRepetitionPenalty(j.get("repetition_penalty", 1.0));
        }
        return new Sampling(
                j.get("temperature", 1.0),
                j.get("top_k", 50),
                j.get("top_p", 1.0),
                j.get("min_p", 0.0),
                j.get("repetition_penalty", 1.0),
                j.get("no_repeat_ngram_size", 0));
    }

    public ChatModel model() {
        return model;
    }

    @Override
    public synchronized void close() {
        reset();
        if (adapter != null) {
            adapter.close();
        }
        model.close();
    }
}
