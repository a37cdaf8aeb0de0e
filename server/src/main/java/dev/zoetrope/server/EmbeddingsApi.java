package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tasks.Embed;
import io.javalin.http.Context;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** {@code /v1/embeddings}: vectors of texts and, beside OpenAI, of pictures. */
final class EmbeddingsApi {
    private static final int MOST = 2048;
    private static final int LONGEST = 100_000;
    private static final int WAITING = 4096;

    private final Models models;
    private final Inputs inputs;
    private final Map<Model, Batcher> batchers = new ConcurrentHashMap<>();

    EmbeddingsApi(Models models, Inputs inputs) {
        this.models = models;
        this.inputs = inputs;
    }

    void embed(Context ctx) {
        Json body = inputs.body(ctx);
        Model model = models.require(body.get("model", ""), Ability.EMBEDDING);
        List<Object> all = inputs(body);
        String format = body.get("encoding_format", "float");
        if (!format.equals("float") && !format.equals("base64")) {
            throw ApiError.bad("encoding_format '" + format + "' is neither float nor base64", "encoding_format");
        }
        if (body.has("dimensions")) {
            int width = models.use(model, Embed.class, Embed::width);
            if (body.get("dimensions", width) != width) {
                throw ApiError.bad("this model's vectors have " + width + " dimensions and no others", "dimensions");
            }
        }
        List<float[]> vectors = batchers.computeIfAbsent(model, m -> new Batcher(models, m, WAITING))
                .embed(all, new Presence(ctx));
        List<Map<String, Object>> data = new ArrayList<>();
        for (int i = 0; i < vectors.size(); i++) {
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("object", "embedding");
            one.put("index", i);
            one.put("embedding", format.equals("base64") ? Answers.base64(vectors.get(i)) : vectors.get(i));
            data.add(one);
        }
        long words = all.stream()
                .filter(String.class::isInstance)
                .mapToLong(t -> 1 + ((String) t).length() / 4)
                .sum();
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("object", "list");
        r.put("data", data);
        r.put("model", model.id());
        r.put("usage", Map.of("prompt_tokens", words, "total_tokens", words));
        Answers.json(ctx, r);
    }

    /** A text, several, or objects {@code {"type": "text"|"image_url", ...}}. */
    private List<Object> inputs(Json body) {
        List<Object> r = new ArrayList<>();
        Object input = body.value("input");
        if (input instanceof String text) {
            r.add(text);
        } else if (input instanceof List<?> list && !list.isEmpty() && list.size() <= MOST) {
            if (list.get(0) instanceof Map) {
                for (Json part : body.list("input")) {
                    r.add(part(part));
                }
            } else if (list.get(0) instanceof String) {
                r.addAll(body.get("input", List.of()));
            } else {
                throw ApiError.bad("input holds token ids; send texts instead", "input");
            }
        } else {
            throw ApiError.bad("input is not a text, or 1 to " + MOST + " texts or pictures", "input");
        }
        for (Object o : r) {
            if (o instanceof String text && (text.isEmpty() || text.length() > LONGEST)) {
                throw ApiError.bad("input has a text that is empty or longer than " + LONGEST, "input");
            }
        }
        return r;
    }

    private Object part(Json part) {
        return switch (part.get("type", "")) {
            case "text" -> part.require("text");
            case "image_url" ->
                inputs.image(
                        part.isObject("image_url") ? part.at("image_url").require("url") : part.require("image_url"),
                        "input");
            default -> throw ApiError.bad("input: type is neither text nor image_url", "input");
        };
    }
}
