package dev.zoetrope.server;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.Classify;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.Label;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.Segment.Candidate;
import dev.zoetrope.tasks.Segment.Point;
import dev.zoetrope.tasks.ZeroShot;
import dev.zoetrope.tasks.annotation.Sa1b;
import io.javalin.http.Context;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@code /v1/classify} and {@code /v1/segment}. */
final class SeeingApi {
    private static final int MOST_IMAGES = 32;
    private static final int MOST_LABELS = 1000;

    private final Models models;
    private final Inputs inputs;

    SeeingApi(Models models, Inputs inputs) {
        this.models = models;
        this.inputs = inputs;
    }

    /** By the classes of a classifier, or by {@code labels} and a model of pictures and texts. */
    void classify(Context ctx) {
        Json body = inputs.body(ctx);
        List<String> labels = body.get("labels", List.of());
        if (labels.size() > MOST_LABELS) {
            throw ApiError.bad("more than " + MOST_LABELS + " labels", "labels");
        }
        List<String> templates = body.get("templates", List.of());
        Model model =
                models.require(body.get("model", ""), labels.isEmpty() ? Ability.CLASSIFICATION : Ability.EMBEDDING);
        int top = body.get("top", 5);
        if (top < 1) {
            throw ApiError.bad("top " + top + " is not above 0", "top");
        }
        List<Image> images = images(ctx, body);
        List<List<Label>> found = model.lane()
                .submit(flag -> labels.isEmpty()
                        ? models.use(model, Classify.class, m -> m.top(images, top))
                        : models.use(model, Embed.class, m -> zeroShot(m, labels, templates, images)))
                .await(new Presence(ctx));
        List<Map<String, Object>> data = new ArrayList<>();
        for (List<Label> row : found) {
            List<Map<String, Object>> named = row.stream()
                    .limit(top)
                    .map(l -> Map.<String, Object>of("label", l.name(), "probability", l.probability()))
                    .toList();
            data.add(Map.of("object", "classification", "index", data.size(), "labels", named));
        }
        Answers.json(ctx, Map.of("object", "list", "model", model.id(), "data", data));
    }

    private static List<List<Label>> zeroShot(
            Embed model, List<String> labels, List<String> templates, List<Image> images) {
        try (ZeroShot task = ZeroShot.with(model, labels, templates)) {
            return task.classify(images);
        }
    }

    private List<Image> images(Context ctx, Json body) {
        @Nullable Image uploaded = inputs.uploaded(ctx, "image");
        if (uploaded != null) {
            return List.of(uploaded);
        }
        if (body.has("image")) {
            return List.of(inputs.base64Image(body.require("image"), "image"));
        }
        List<String> all = body.get("images", List.of());
        if (all.isEmpty() || all.size() > MOST_IMAGES) {
            throw ApiError.bad("image is missing, or images has not 1 to " + MOST_IMAGES + " pictures", "image");
        }
        return all.stream().map(i -> inputs.base64Image(i, "images")).toList();
    }

    /** What {@code points} {@code [[x, y, 1|0], ...]} and {@code box} show, or everything. */
    void segment(Context ctx) {
        Json body = inputs.body(ctx);
        Model model = models.require(body.get("model", ""), Ability.SEGMENTATION);
        Image image = images(ctx, body).get(0);
        boolean everything = body.get("everything", false);
        Segment.@Nullable Prompt prompt = everything ? null : prompt(body);
        int side = body.get("points_per_side", 16);
        if (side < 1 || side > 64) {
            throw ApiError.bad("points_per_side " + side + " is not between 1 and 64", "points_per_side");
        }
        List<Map<String, Object>> masks = model.lane()
                .submit(flag -> models.use(
                        model,
                        Desks.class,
                        m -> prompt == null ? everything(m, image, side, flag) : answer(m, image, prompt)))
                .await(new Presence(ctx));
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("object", "list");
        r.put("model", model.id());
        r.put("width", image.width());
        r.put("height", image.height());
        r.put("data", masks);
        Answers.json(ctx, r);
    }

    private static Segment.Prompt prompt(Json body) {
        List<Point> points = new ArrayList<>();
        if (body.value("points") instanceof List<?> list) {
            for (Object o : list) {
                if (!(o instanceof List<?> p)
                        || p.size() < 2
                        || p.size() > 3
                        || !p.stream().allMatch(Number.class::isInstance)) {
                    throw ApiError.bad("points: expected [[x, y], ...] or [[x, y, 0 or 1], ...]", "points");
                }
                boolean foreground = p.size() == 2 || ((Number) p.get(2)).intValue() == 1;
                points.add(new Point(((Number) p.get(0)).doubleValue(), ((Number) p.get(1)).doubleValue(), foreground));
            }
        }
        double[] b = body.get("box", new double[0]);
        if (b.length != 0 && b.length != 4) {
            throw ApiError.bad("box: expected [x0, y0, x1, y1]", "box");
        }
        @Nullable Box box = b.length == 4 ? new Box(b[0], b[1], b[2], b[3]) : null;
        return new Segment.Prompt(points, box, null, body.get("multimask", points.size() == 1 && box == null));
    }

    private static List<Map<String, Object>> answer(Desks m, Image image, Segment.Prompt prompt) {
        List<Map<String, Object>> r = new ArrayList<>();
        for (Candidate c : m.picture(image).answer(prompt).candidates()) {
            r.add(mask(Rle.of(c.mask()), c.mask().box(), c.predictedIou()));
        }
        r.sort((a, b) -> Double.compare((double) b.get("predicted_iou"), (double) a.get("predicted_iou")));
        return r;
    }

    private static List<Map<String, Object>> everything(Desks m, Image image, int side, Lane.Flag flag) {
        AutomaticMasks.Settings settings = AutomaticMasks.Settings.published().withPointsPerSide(side);
        return new AutomaticMasks(m.segment(), settings)
                .generate(image, (step, steps) -> flag.wanted()).masks().stream()
                        .map(f -> {
                            Map<String, Object> one = mask(f.mask(), f.box(), f.predictedIou());
                            one.put("stability_score", f.stability());
                            return one;
                        })
                        .toList();
    }

    /** As COCO has it. */
    static Map<String, Object> mask(Rle mask, Box box, double predictedIou) {
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("segmentation", Sa1b.segmentation(mask));
        r.put("bbox", Sa1b.xywh(box));
        r.put("area", mask.area());
        r.put("predicted_iou", predictedIou);
        return r;
    }
}
