package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.ChatModel.Turn;
import dev.zoetrope.tasks.JsonSchema;
import io.javalin.http.Context;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** {@code /v1/chat/completions}: conversations about pictures, or without any. */
final class ChatApi {
    private static final int MOST_TOKENS = 8192;
    private static final int TOKENS = 512;
    private static final int MOST_STOPS = 4;
    private static final long BEAT_MILLIS = 1000;

    private final Models models;
    private final Inputs inputs;

    ChatApi(Models models, Inputs inputs) {
        this.models = models;
        this.inputs = inputs;
    }

    /**
     * A conversation that waits for an answer.
     *
     * @param said turns with their answers
     */
    private record Talk(List<Turn> said, String question, List<Image> images) {}

    void complete(Context ctx) {
        Json body = inputs.body(ctx);
        Model model = models.require(body.get("model", ""), Ability.CHAT);
        refuse(body);
        Talk talk = talk(body);
        Chat.Options options = options(body, model);
        Head head = new Head("chatcmpl-" + UUID.randomUUID(), System.currentTimeMillis() / 1000, model.id());
        if (body.get("stream", false)) {
            stream(ctx, model, talk, options, head, body.at("stream_options").get("include_usage", false));
        } else {
            Chat.Answer answer = model.lane()
                    .submit(flag -> ask(model, talk, options, piece -> flag.wanted()))
                    .await(new Presence(ctx));
            Map<String, @Nullable Object> message = new LinkedHashMap<>();
            message.put("role", "assistant");
            message.put("content", answer.text());
            message.put("refusal", null);
            Map<String, @Nullable Object> r = head.json("chat.completion");
            r.put("choices", List.of(choice("message", message, reason(answer))));
            r.put("usage", usage(answer));
            Answers.json(ctx, r);
        }
    }

    private static void refuse(Json body) {
        if (body.get("n", 1) != 1) {
            throw ApiError.bad("n is not 1; ask several times instead", "n");
        }
        if (body.size("tools", 0) > 0 || body.size("functions", 0) > 0) {
            throw ApiError.bad("tools are not supported", "tools");
        }
    }

    private Chat.Answer ask(Model model, Talk talk, Chat.Options options, Chat.Listener listener) {
        return models.use(model, Chat.class, chat -> {
            chat.resume(talk.said);
            return chat.ask(talk.question, talk.images, options, listener);
        });
    }

    private void stream(Context ctx, Model model, Talk talk, Chat.Options options, Head head, boolean withUsage) {
        LinkedBlockingQueue<String> pieces = new LinkedBlockingQueue<>();
        Lane.Ticket<Chat.Answer> ticket =
                model.lane().submit(flag -> ask(model, talk, options, piece -> pieces.add(piece) && flag.wanted()));
        Answers.Events events = new Answers.Events(ctx);
        try {
            events.data(chunk(head, Map.of("role", "assistant", "content", ""), null));
            while (!ticket.done() || !pieces.isEmpty()) {
                @Nullable String piece = pieces.poll(ticket.done() ? 0 : BEAT_MILLIS / 10, TimeUnit.MILLISECONDS);
                if (piece != null) {
                    events.data(chunk(head, Map.of("content", piece), null));
                } else if (!ticket.done()) {
                    events.heartbeat();
                }
            }
            Chat.Answer answer = ticket.await(() -> true);
            events.data(chunk(head, Map.of(), reason(answer)));
            if (withUsage) {
                Map<String, @Nullable Object> last = head.json("chat.completion.chunk");
                last.put("choices", List.of());
                last.put("usage", usage(answer));
                events.data(last);
            }
            events.data("[DONE]");
        } catch (UncheckedIOException e) {
            ticket.cancel(); // the client has left
        } catch (InterruptedException e) {
            ticket.cancel();
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            ticket.cancel();
            events.data(Failures.of(e, "chat").json());
        }
    }

    private static Map<String, @Nullable Object> chunk(Head head, Map<String, String> delta, @Nullable String reason) {
        Map<String, @Nullable Object> r = head.json("chat.completion.chunk");
        r.put("choices", List.of(choice("delta", delta, reason)));
        return r;
    }

    private static Map<String, @Nullable Object> choice(String key, Object content, @Nullable String reason) {
        Map<String, @Nullable Object> r = new LinkedHashMap<>();
        r.put("index", 0);
        r.put(key, content);
        r.put("logprobs", null);
        r.put("finish_reason", reason);
        return r;
    }

    private record Head(String id, long created, String model) {
        Map<String, @Nullable Object> json(String object) {
            Map<String, @Nullable Object> r = new LinkedHashMap<>();
            r.put("id", id);
            r.put("object", object);
            r.put("created", created);
            r.put("model", model);
            return r;
        }
    }

    private static String reason(Chat.Answer answer) {
        return answer.end() == Chat.End.SAID ? "stop" : "length";
    }

    private static Map<String, Object> usage(Chat.Answer answer) {
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("prompt_tokens", answer.promptTokens());
        r.put("completion_tokens", answer.tokens());
        r.put("total_tokens", answer.promptTokens() + answer.tokens());
        r.put("prompt_tokens_details", Map.of("cached_tokens", answer.reusedTokens()));
        return r;
    }

    private static Chat.Options options(Json body, Model model) {
        int tokens = body.get("max_completion_tokens", body.get("max_tokens", TOKENS));
        if (tokens < 1 || tokens > MOST_TOKENS) {
            throw ApiError.bad("max_tokens " + tokens + " is not between 1 and " + MOST_TOKENS, "max_tokens");
        }
        Sampling sampling = Chat.sampling(model.folder());
        if (body.has("temperature")) {
            double t = body.get("temperature", 0.0);
            if (!(t >= 0 && t <= 2)) {
                throw ApiError.bad("temperature " + t + " is not between 0 and 2", "temperature");
            }
            sampling = t == 0 ? Sampling.GREEDY : sampling.withTemperature(t);
        }
        if (body.has("top_p")) {
            double p = body.get("top_p", 1.0);
            if (!(p > 0 && p <= 1)) {
                throw ApiError.bad("top_p " + p + " is not above 0 and up to 1", "top_p");
            }
            sampling = sampling.withTopP(p);
        }
        long seed = body.has("seed")
                ? body.get("seed", 0L)
                : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE);
        Chat.Options o = Chat.Options.DEFAULT
                .with(sampling)
                .withMaxTokens(tokens)
                .withSeed(seed)
                .withStops(stops(body));
        JsonSchema schema = schema(body.at("response_format"));
        return schema == null ? o : o.with(schema);
    }

    /** What an answer in JSON has to look like; null for an answer in words. */
    private static @Nullable JsonSchema schema(Json format) {
        String type = format.get("type", "text");
        return switch (type) {
            case "text" -> null;
            case "json_object" -> JsonSchema.OBJECT;
            case "json_schema" -> JsonSchema.of(format.requireAt("json_schema").requireAt("schema"));
            default ->
                throw ApiError.bad(
                        "response_format '" + type + "' is not supported; supported: text, json_object, json_schema",
                        "response_format");
        };
    }

    private static List<String> stops(Json body) {
        List<String> all = body.value("stop") instanceof String one ? List.of(one) : body.get("stop", List.of());
        if (all.size() > MOST_STOPS || all.stream().anyMatch(String::isEmpty)) {
            throw ApiError.bad("stop has more than " + MOST_STOPS + " texts, or an empty one", "stop");
        }
        return all;
    }

    /** What a system message says stands in front of the first question: not every model has a place for it. */
    private Talk talk(Json body) {
        List<Turn> said = new ArrayList<>();
        StringBuilder question = new StringBuilder();
        List<Image> images = new ArrayList<>();
        boolean asked = false;
        for (Json m : body.list("messages")) {
            StringBuilder text = new StringBuilder();
            List<Image> shown = new ArrayList<>();
            content(m, text, shown);
            switch (m.require("role")) {
                case "system", "developer" -> append(question, text);
                case "user" -> {
                    append(question, text);
                    images.addAll(shown);
                    asked = true;
                }
                case "assistant" -> {
                    if (!asked) {
                        throw ApiError.bad("messages: an answer without a question before it", "messages");
                    }
                    said.add(new Turn(question.toString(), images, text.toString()));
                    question.setLength(0);
                    images = new ArrayList<>();
                    asked = false;
                }
                default ->
                    throw ApiError.bad("messages: role is none of system, developer, user, assistant", "messages");
            }
        }
        if (!asked) {
            throw ApiError.bad("messages: the last one is not the user's", "messages");
        }
        return new Talk(said, question.toString(), images);
    }

    private static void append(StringBuilder to, CharSequence text) {
        if (!to.isEmpty() && !text.isEmpty()) {
            to.append('\n');
        }
        to.append(text);
    }

    private void content(Json message, StringBuilder text, List<Image> images) {
        if (!message.isArray("content")) {
            text.append(message.get("content", ""));
            return;
        }
        for (Json part : message.list("content")) {
            switch (part.require("type")) {
                case "text" -> append(text, part.require("text"));
                case "image_url" ->
                    images.add(inputs.image(part.requireAt("image_url").require("url"), "image_url"));
                default -> throw ApiError.bad("messages: a part is neither text nor image_url", "messages");
            }
        }
    }
}
