package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.Segment.Candidate;
import dev.zoetrope.tasks.annotation.AnnotationSession;
import dev.zoetrope.tasks.annotation.AnnotationSession.Annotation;
import dev.zoetrope.tasks.annotation.AnnotationSession.Item;
import dev.zoetrope.tasks.annotation.DataEngine;
import dev.zoetrope.tasks.annotation.Desk;
import dev.zoetrope.tasks.annotation.Sa1b;
import io.javalin.http.Context;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/** The data engine of Segment Anything in the browser: a person clicks, the model answers, the session keeps it. */
final class AnnotateApi {
    private static final int SIDE = 16;

    private final Models models;
    private final Inputs inputs;
    private final Map<String, AnnotationSession> sessions = new LinkedHashMap<>();

    AnnotateApi(Models models, Inputs inputs, List<AnnotationSession> all) {
        this.models = models;
        this.inputs = inputs;
        all.forEach(s -> sessions.put(Pictures.id(s.file().toString()), s));
    }

    private AnnotationSession session(Context ctx) {
        AnnotationSession s = sessions.get(ctx.pathParam("session"));
        if (s == null) {
            throw ApiError.notFound("not_found", "there is no such session");
        }
        return s;
    }

    private static int number(Context ctx, AnnotationSession s) {
        String text = ctx.pathParam("number");
        int n = text.matches("\\d{1,7}") ? Integer.parseInt(text) : -1;
        if (n < 0 || n >= s.items().size()) {
            throw ApiError.notFound("not_found", "there is no such picture in the session");
        }
        return n;
    }

    void sessions(Context ctx) {
        List<Map<String, Object>> all = new ArrayList<>();
        sessions.forEach((id, s) -> {
            String name = String.valueOf(s.file().getFileName());
            all.add(Map.of(
                    "id",
                    id,
                    "name",
                    name.endsWith(".json") ? name.substring(0, name.length() - 5) : name,
                    "pictures",
                    s.items().size(),
                    "done",
                    s.items().stream().filter(Item::done).count()));
        });
        Answers.json(ctx, Map.of("sessions", all));
    }

    void items(Context ctx) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (Item i : session(ctx).items()) {
            all.add(Map.of(
                    "number",
                    all.size(),
                    "name",
                    String.valueOf(i.file().getFileName()),
                    "done",
                    i.done(),
                    "masks",
                    i.annotations().size()));
        }
        Answers.json(ctx, Map.of("pictures", all));
    }

    void picture(Context ctx) {
        AnnotationSession s = session(ctx);
        Item item = s.item(number(ctx, s));
        String side = ctx.queryParam("side");
        if (side != null && side.matches("\\d{2,4}")) {
            ctx.contentType("image/jpeg").result(Pictures.jpeg(item.file(), Integer.parseInt(side)));
        } else {
            ctx.contentType("image/png").result(Images.png(Images.read(item.file()), Map.of()));
        }
        ctx.header("Cache-Control", "private, max-age=300");
    }

    void open(Context ctx) {
        Answers.json(ctx, at(ctx, (desk, engine) -> state(desk, engine.session())));
    }

    /** What a click there would give. */
    void hover(Context ctx) {
        Json body = inputs.body(ctx);
        double x = body.get("x", -1.0);
        double y = body.get("y", -1.0);
        Answers.json(ctx, at(ctx, (desk, engine) -> Map.of("mask", mask(desk.look(x, y)))));
    }

    /** One thing done: {@code do} is click, box, choose, undo, clear, accept, remove, done or prefill. */
    void act(Context ctx) {
        Json body = inputs.body(ctx);
        String what = body.require("do");
        Answers.json(ctx, at(ctx, (desk, engine) -> {
            AnnotationSession s = engine.session();
            int n = desk.number();
            switch (what) {
                case "click" -> desk.click(body.get("x", -1.0), body.get("y", -1.0), body.get("foreground", true));
                case "box" -> {
                    double[] b = body.get("box", new double[0]);
                    if (b.length != 4) {
                        throw ApiError.bad("box: expected [x0, y0, x1, y1]", "box");
                    }
                    desk.box(new Box(b[0], b[1], b[2], b[3]));
                }
                case "choose" -> desk.choose(body.requireInt("index"));
                case "undo" -> desk.undo();
                case "clear" -> desk.clear();
                case "accept" -> desk.accept();
                case "remove" -> s.remove(n, body.requireInt("id"));
                case "done" -> s.setDone(n, body.get("value", true));
                case "prefill" ->
                    engine.prefill(
                            n, AutomaticMasks.Settings.published().withPointsPerSide(SIDE), (step, steps) -> true);
                default -> throw ApiError.bad("'" + what + "' cannot be done", "do");
            }
            return state(desk, s);
        }));
    }

    private <R> R at(Context ctx, BiFunction<Desk, DataEngine, R> work) {
        AnnotationSession s = session(ctx);
        int n = number(ctx, s);
        Model model = models.require(ctx.queryParam("model"), Ability.SEGMENTATION);
        String name = ctx.pathParam("session") + "/" + n + "/" + Guard.owner(ctx);
        return model.lane()
                .submit(flag -> models.use(model, Desks.class, m -> {
                    DataEngine engine = new DataEngine(m.segment(), s);
                    return work.apply(m.desk(name, () -> engine.open(n)), engine);
                }))
                .await(new Presence(ctx));
    }

    private static Map<String, Object> state(Desk desk, AnnotationSession s) {
        Item item = s.item(desk.number());
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("number", desk.number());
        r.put("name", String.valueOf(item.file().getFileName()));
        r.put("width", desk.image().width());
        r.put("height", desk.image().height());
        r.put("done", item.done());
        r.put("annotations", item.annotations().stream().map(AnnotateApi::json).toList());
        r.put(
                "points",
                desk.points().stream()
                        .map(p -> List.of(p.x(), p.y(), p.foreground() ? 1 : 0))
                        .toList());
        @Nullable Box box = desk.box();
        r.put("box", box == null ? List.of() : List.of(box.x0(), box.y0(), box.x1(), box.y1()));
        r.put("candidates", desk.candidates().stream().map(AnnotateApi::mask).toList());
        @Nullable Candidate chosen = desk.candidate();
        r.put("chosen", chosen == null ? -1 : desk.candidates().indexOf(chosen));
        r.put("millis", desk.millis());
        return r;
    }

    private static Map<String, Object> mask(Candidate c) {
        return SeeingApi.mask(Rle.of(c.mask()), c.mask().box(), c.predictedIou());
    }

    private static Map<String, Object> json(Annotation a) {
        Map<String, Object> r = SeeingApi.mask(a.mask(), a.mask().mask().box(), a.predictedIou());
        r.put("id", a.id());
        r.put("source", a.source().name().toLowerCase(Locale.ROOT));
        return r;
    }

    /** The session as a file: COCO's form, or SA-1B's for one picture. */
    void export(Context ctx) {
        AnnotationSession s = session(ctx);
        @Nullable String one = ctx.queryParam("picture");
        List<Sa1b> all = new ArrayList<>();
        for (int i = 0; i < s.items().size(); i++) {
            if (one == null || one.equals(Integer.toString(i))) {
                Path file = s.item(i).file();
                Image image = Images.read(file);
                all.add(Sa1b.of(i + 1L, String.valueOf(file.getFileName()), image.width(), image.height(), s.item(i)));
            }
        }
        if (all.isEmpty()) {
            throw ApiError.notFound("not_found", "there is no such picture in the session");
        }
        ctx.header(
                "Content-Disposition",
                "attachment; filename=\""
                        + (one == null ? "coco.json" : "sa1b-" + all.get(0).imageId() + ".json") + "\"");
        ctx.contentType("application/json")
                .result(one == null ? Sa1b.coco(all) : all.get(0).json());
    }
}
