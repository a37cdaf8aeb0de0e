package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.server.Job.Kind;
import dev.zoetrope.tasks.TextToVideo;
import io.javalin.http.Context;
import java.io.UncheckedIOException;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What the studio's pages ask for beside the API: jobs of both kinds, and how they go on. */
final class StudioApi {
    private static final long BEAT_MILLIS = 1000;

    private final Models models;
    private final Jobs jobs;
    private final Inputs inputs;
    private final Limits limits;

    StudioApi(Models models, Jobs jobs, Inputs inputs, Limits limits) {
        this.models = models;
        this.jobs = jobs;
        this.inputs = inputs;
        this.limits = limits;
    }

    void create(Context ctx) {
        Json body = inputs.body(ctx);
        Kind kind = body.get("kind", Kind.VIDEO);
        Ability ability = kind == Kind.VIDEO ? Ability.VIDEO : body.has("input") ? Ability.EDIT : Ability.IMAGE;
        Model model = models.require(body.get("model", ""), ability);
        @Nullable Image input = body.has("input") ? inputs.image(body.require("input"), "input") : null;
        @Nullable
        String source = body.has("source")
                ? VideosApi.own(body.require("source"), jobs, Guard.owner(ctx)).id()
                : null;
        Job job = jobs.add(kind, model, Wish.of(body, limits), input, source, Guard.owner(ctx));
        Map<String, Object> r = new LinkedHashMap<>(VideosApi.json(job));
        r.put("unknown_words", unknown(model, body.get("prompt", "")));
        Answers.json(ctx, r);
    }

    private List<String> unknown(Model model, String prompt) {
        return model.abilities().contains(Ability.VIDEO)
                ? models.use(model, TextToVideo.class, m -> m.unknownWords(prompt))
                : List.of();
    }

    void list(Context ctx) {
        Answers.json(
                ctx,
                Map.of(
                        "data",
                        VideosApi.page(ctx, jobs, null).stream()
                                .map(VideosApi::json)
                                .toList()));
    }

    /** How a job goes on, until it is over. */
    void events(Context ctx) throws InterruptedException {
        String id = ctx.pathParam("id");
        String owner = Guard.owner(ctx);
        Job job = VideosApi.own(id, jobs, owner);
        Answers.Events events = new Answers.Events(ctx);
        @Nullable Live watched = null;
        long version = -1;
        String before = "";
        try {
            while (!job.status().over()) {
                if (watched == null) {
                    watched = jobs.live(id);
                    if (watched != null) {
                        watched.watch(1);
                    }
                }
                if (watched == null) {
                    Thread.sleep(BEAT_MILLIS / 4);
                } else {
                    Live.State s = watched.after(version, BEAT_MILLIS);
                    if (s.version() > version) {
                        version = s.version();
                        events.data(step(s));
                    }
                }
                job = VideosApi.own(id, jobs, owner);
                String now = job.status().label() + job.progress();
                if (!now.equals(before) && !job.status().over()) {
                    before = now;
                    events.data(Map.of("job", VideosApi.json(job)));
                } else {
                    events.heartbeat();
                }
            }
            events.data(Map.of("job", VideosApi.json(job)));
        } catch (ApiError e) {
            events.data(Map.of("gone", true)); // it was deleted
        } catch (UncheckedIOException e) {
            return; // the page was left
        } finally {
            if (watched != null) {
                watched.watch(-1);
            }
        }
    }

    private static Map<String, Object> step(Live.State s) {
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("step", s.step());
        r.put("steps", s.steps());
        byte[] strip = s.strip();
        if (strip != null) {
            r.put("strip", "data:image/png;base64," + Base64.getEncoder().encodeToString(strip));
            r.put("frames", s.frames());
        }
        return r;
    }
}
