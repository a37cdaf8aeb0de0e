package dev.zoetrope.server;

import io.javalin.http.Context;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** {@code /v1/models}. */
final class ModelsApi {
    private final Models models;

    ModelsApi(Models models) {
        this.models = models;
    }

    void list(Context ctx) {
        Answers.json(
                ctx,
                Map.of(
                        "object",
                        "list",
                        "data",
                        models.all().stream().map(this::json).toList()));
    }

    void one(Context ctx) {
        Answers.json(ctx, json(models.require(ctx.pathParam("id"))));
    }

    private Map<String, Object> json(Model m) {
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("id", m.id());
        r.put("object", "model");
        r.put("created", m.created().getEpochSecond());
        r.put("owned_by", "zoetrope");
        List<String> abilities = m.abilities().stream().map(Ability::label).toList();
        r.put("abilities", abilities);
        r.put("bytes", m.bytes());
        r.put("loaded", models.isLoaded(m));
        r.put("waiting", m.lane().waiting());
        return r;
    }
}
