package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import dev.zoetrope.media.Rle;
import dev.zoetrope.models.sam.Sam;
import dev.zoetrope.models.sam.SamConfig;
import dev.zoetrope.models.sam.SamMaskDecoder;
import dev.zoetrope.models.sam.SamPromptEncoder;
import dev.zoetrope.models.sam.SamPrompts;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.AutomaticMasks.Crop;
import dev.zoetrope.tasks.AutomaticMasks.Found;
import dev.zoetrope.tasks.AutomaticMasks.Rule;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.sam.SamLoss;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Segment Anything in both layouts, and masks as COCO writes and compares them. */
final class SamEntries {
    private SamEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("sam.forward", SamEntries::forward);
        entries.put("sam.predict", SamEntries::predict);
        entries.put("sam.automatic", SamEntries::automatic);
        entries.put("sam.maskFunctions", SamEntries::maskFunctions);
        entries.put("sam.data_engine", SamEntries::dataEngine);
        entries.put("sam.train", SamEntries::train);
        entries.put("sam_original.encode", SamEntries::originalEncode);
        entries.put("sam_original.predict", SamEntries::originalPredict);
        entries.put("sam_original.automatic", SamEntries::originalAutomatic);
        entries.put("mask.rle", SamEntries::rle);
        entries.put("mask.iou", SamEntries::iou);
    }

    private static void forward(Case c, Answers answers) {
        Tensor pixels = c.input("pixel_values");
        SamPrompts prompts = new SamPrompts(
                c.optionalInput("input_points"),
                c.optionalInput("input_labels"),
                c.optionalInput("input_boxes"),
                c.optionalInput("input_masks"));
        try (Sam sam = Sam.load(c.model())) {
            List<Tensor> states = sam.imageEncoder().hiddenStates(pixels);
            answers.put("patches", states.get(0));
            for (int i = 1; i < states.size(); i++) {
                answers.put("block_" + (i - 1), states.get(i));
            }
            SamPromptEncoder encoder = sam.promptEncoder();
            answers.put("image_positions", encoder.imagePositions());
            answers.put(
                    "dense_embeddings", encoder.dense(prompts, pixels.size(0)).squeeze(1));
            Tensor sparse = encoder.sparse(prompts);
            if (sparse != null) {
                answers.put("sparse_embeddings", sparse);
            }
            Tensor embeddings = sam.encode(pixels);
            answers.put("image_embeddings", embeddings);
            put(answers, sam.decode(embeddings, prompts, c.params().get("multimask_output", true)));
        }
    }

    private static void put(Answers answers, SamMaskDecoder.Output o) {
        answers.put("pred_masks", o.masks());
        answers.put("iou_scores", o.iou());
    }

    private static void predict(Case c, Answers answers) {
        Image image = Images.read(c.file("picture"));
        try (Segment segment = Segment.load(c.model());
                Segment.Picture picture = segment.open(image)) {
            answers.put("pixel_values", segment.processor().process(image).pixels());
            Tensor points = prompts(scaled(nested(c, "points"), picture), 4);
            Tensor labels = prompts(nested(c, "labels"), 3);
            Tensor boxes = scaled(nested(c, "boxes"), picture);
            SamPrompts prompts = new SamPrompts(points, labels == null ? null : labels.to(DType.INT64), boxes, null);
            if (points != null) {
                answers.put("input_points", points);
            }
            if (prompts.labels() != null) {
                answers.put("input_labels", prompts.labels());
            }
            if (boxes != null) {
                answers.put("input_boxes", boxes);
            }
            answers.put("original_size", Tensor.of(new long[] {image.height(), image.width()}, 2));
            answers.put(
                    "reshaped_size",
                    Tensor.of(
                            new long[] {
                                picture.frame().resizedHeight(), picture.frame().resizedWidth()
                            },
                            2));
            SamMaskDecoder.Output o = segment.model()
                    .decode(picture.embedding(), prompts, c.params().get("multimask_output", true));
            put(answers, o);
            Tensor logits = picture.frame().masks(o.masks().squeeze(0));
            answers.put("mask_logits", logits);
            answers.put("mask_area", logits.gt(0).to(DType.FLOAT32).sum(-2, -1));
        }
    }

    /** With an axis of prompts, which is left out where there is one prompt a picture. */
    private static @Nullable Tensor prompts(@Nullable Tensor t, int axes) {
        return t == null || t.dim() == axes ? t : t.unsqueeze(1);
    }

    /** Pixels of the file in pairs along the last axis, in pixels of the square. */
    private static @Nullable Tensor scaled(@Nullable Tensor xy, Segment.Picture picture) {
        if (xy == null) {
            return null;
        }
        float[] values = xy.toFloats();
        for (int i = 0; i < values.length; i += 2) {
            values[i] = (float) picture.frame().x(values[i]);
            values[i + 1] = (float) picture.frame().y(values[i + 1]);
        }
        return Tensor.of(values, xy.shape());
    }

    /** Numbers in lists of lists; null where the parameter is absent. */
    private static @Nullable Tensor nested(Case c, String parameter) {
        Object value = c.params().value(parameter);
        if (value == null) {
            return null;
        }
        List<Long> shape = new ArrayList<>();
        for (Object at = value; at instanceof List<?> l; at = l.get(0)) {
            shape.add((long) l.size());
        }
        List<Float> flat = new ArrayList<>();
        flatten(value, flat);
        float[] values = new float[flat.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = flat.get(i);
        }
        return Tensor.of(values, shape.stream().mapToLong(Long::longValue).toArray());
    }

    private static void flatten(Object value, Collection<Float> into) {
        if (value instanceof List<?> list) {
            list.forEach(v -> flatten(v, into));
        } else if (value instanceof Number n) {
            into.add(n.floatValue());
        } else {
            throw new UserError("expected numbers, found " + value);
        }
    }

    private static void automatic(Case c, Answers answers) {
        Json p = c.params();
        AutomaticMasks.Settings settings = new AutomaticMasks.Settings(
                p.get("points_per_crop", 32),
                p.get("points_per_batch", 64),
                p.get("pred_iou_thresh", .88),
                p.get("stability_score_thresh", .95),
                p.get("stability_score_offset", 1.),
                p.get("mask_threshold", 0.),
                p.get("crops_nms_thresh", .7),
                p.get("crops_n_layers", 0),
                p.get("crop_overlap_ratio", 512 / 1500.),
                p.get("crop_n_points_downscale_factor", 1),
                p.get("crops_nms_thresh", .7),
                0,
                Rule.TRANSFORMERS);
        Image image = Images.read(c.file("picture"));
        try (Segment segment = Segment.load(c.model())) {
            List<Crop> crops = AutomaticMasks.crops(image.width(), image.height(), settings);
            answers.put("crop_boxes", boxes(crops, crop -> crop.box()));
            answers.put("point_grid", grids(segment, crops, settings));
            AutomaticMasks.Result r = new AutomaticMasks(segment, settings).generate(image, Progress.NONE);
            List<Found> masks = r.masks();
            answers.put(
                    "scores", masks.stream().mapToDouble(Found::predictedIou).toArray());
            answers.put("boxes", boxes(masks, Found::box));
            answers.put(
                    "areas", masks.stream().mapToDouble(f -> f.mask().area()).toArray());
            AutomaticMasks.Counts n = r.counts();
            answers.put("candidates", Tensor.of(new long[] {n.candidates(), n.believed(), n.stable(), n.whole()}, 4));
            compare(p.list("rle"), masks, answers);
        }
    }

    /** A pixel on the threshold may fall either way: 0.2 percent of the picture may differ. */
    private static void compare(List<Json> expected, List<Found> masks, Answers answers) {
        answers.equal("masks", expected.size(), masks.size());
        for (int i = 0; i < Math.min(expected.size(), masks.size()); i++) {
            int[] size = expected.get(i).get("size", new int[0]);
            Rle e = new Rle(size[1], size[0], expected.get(i).get("counts", new int[0]));
            Rle a = masks.get(i).mask();
            long different = e.area() + a.area() - 2 * e.common(a);
            answers.equal("rle " + i + " within 0.2%", true, different <= .002 * size[0] * size[1]);
        }
    }

    /** {@code [1, point, crop, 2]} in pixels of each resized crop. */
    private static Tensor grids(Segment segment, List<Crop> crops, AutomaticMasks.Settings settings) {
        List<Tensor> all = new ArrayList<>();
        for (Crop crop : crops) {
            Box b = crop.box();
            Image blank = Image.filled((int) b.width(), (int) b.height(), 0);
            var frame = segment.processor().process(blank).frame();
            List<Segment.Point> grid = AutomaticMasks.grid(crop, settings);
            float[] xy = new float[2 * grid.size()];
            for (int i = 0; i < grid.size(); i++) {
                xy[2 * i] = (float) frame.x(grid.get(i).x());
                xy[2 * i + 1] = (float) frame.y(grid.get(i).y());
            }
            all.add(Tensor.of(xy, grid.size(), 2));
        }
        return Tensor.stack(1, all).unsqueeze(0);
    }

    private static <T> Tensor boxes(List<T> of, Function<T, Box> box) {
        float[] values = new float[4 * of.size()];
        for (int i = 0; i < of.size(); i++) {
            Box b = box.apply(of.get(i));
            values[4 * i] = (float) b.x0();
            values[4 * i + 1] = (float) b.y0();
            values[4 * i + 2] = (float) b.x1();
            values[4 * i + 3] = (float) b.y1();
        }
        return Tensor.of(values, of.size(), 4);
    }

    private static List<Box> boxes(Tensor corners) {
        float[] v = corners.toFloats();
        List<Box> r = new ArrayList<>();
        for (int i = 0; i < v.length; i += 4) {
            r.add(new Box(v[i], v[i + 1], v[i + 2], v[i + 3]));
        }
        return r;
    }

    private static void maskFunctions(Case c, Answers answers) {
        Tensor logits = c.input("mask_logits");
        answers.put("stability", stable(AutomaticMasks.stability(logits, 0, 1)));
        List<Mask> masks = masks(logits.gt(0));
        answers.put("mask_boxes", boxes(masks, Mask::box).to(DType.INT64));
        List<Rle> runs = masks.stream().map(Rle::of).toList();
        answers.put("rle_counts", runs.stream().map(SamEntries::longs).toList(), -1);
        answers.equal(
                "coco",
                c.params().get("coco", List.of()),
                runs.stream().map(Rle::compressed).toList());
        List<Integer> kept = Box.suppress(
                boxes(c.input("boxes")), doubles(c.input("scores")), c.params().get("nms_threshold", .5));
        answers.put("kept", indices(kept));
    }

    /** What no mask reaches is 0 / 0, which a tensor of answers cannot say: such a mask is dropped, as one of stability 0. */
    private static Tensor stable(double... stability) {
        float[] r = new float[stability.length];
        for (int i = 0; i < r.length; i++) {
            r[i] = Double.isNaN(stability[i]) ? 0 : (float) stability[i];
        }
        return Tensor.of(r, r.length);
    }

    private static void dataEngine(Case c, Answers answers) {
        Json p = c.params();
        Tensor logits = c.input("logits");
        List<Double> iou = doubles(c.input("predicted_iou"));
        double[] stability = AutomaticMasks.stability(logits, 0, p.get("stability_score_offset", 1.));
        answers.put("stability", stable(stability));
        List<Mask> all = masks(logits.gt(0));
        List<Integer> filtered = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            if (iou.get(i) > p.get("pred_iou_thresh", .88) && stability[i] >= p.get("stability_score_thresh", .95)) {
                filtered.add(i);
            }
        }
        answers.put("after_filter", indices(filtered));
        double overlap = p.get("box_nms_thresh", .7);
        List<Integer> distinct = new ArrayList<>();
        Box.suppress(
                        filtered.stream().map(i -> all.get(i).box()).toList(),
                        filtered.stream().map(iou::get).toList(),
                        overlap)
                .forEach(i -> distinct.add(filtered.get(i)));
        answers.put("after_nms", indices(distinct));
        int minArea = p.get("min_mask_region_area", 0);
        List<Mask> masks = distinct.stream().map(all::get).toList();
        List<Mask.Cleaned> cleaned =
                masks.stream().map(m -> m.withoutSmallRegions(minArea)).toList();
        answers.put("cleaned", bits(cleaned.stream().map(Mask.Cleaned::mask).toList()));
        answers.put(
                "unchanged",
                indices(cleaned.stream().map(m -> m.changed() ? 0 : 1).toList()));
        List<AutomaticMasks.Kept> kept = AutomaticMasks.clean(masks, minArea, overlap);
        answers.put(
                "final", indices(kept.stream().map(k -> distinct.get(k.index())).toList()));
        List<Mask> last = kept.stream().map(AutomaticMasks.Kept::mask).toList();
        answers.put("masks", bits(last));
        answers.put("area", Tensor.of(last.stream().mapToLong(Mask::area).toArray(), last.size()));
        answers.put("bbox_xywh", xywh(last.stream().map(Mask::box).toList()).to(DType.INT64));
        answers.equal(
                "compressed",
                p.get("compressed", List.of()),
                last.stream().map(m -> Rle.of(m).compressed()).toList());
    }

    private static void train(Case c, Answers answers) {
        Json p = c.params();
        SamLoss objective =
                new SamLoss(p.get("focal_weight", 20.0), p.get("dice_weight", 1.0), p.get("iou_weight", 1.0));
        boolean ambiguous = p.get("multimask", true);
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Sam sam = new Sam(SamConfig.of(Json.read(c.model().resolve("config.json"))), w);
            TrainingSteps.run(c, answers, w, (batch, parts) -> {
                SamPrompts prompts = SamPrompts.points(batch.get("input_points"), batch.get("input_labels"));
                SamMaskDecoder.Output o = sam.decode(sam.encode(batch.get("pixel_values")), prompts, ambiguous);
                SamLoss.Parts r = objective.of(o.masks(), o.iou(), batch.get("masks"));
                parts.put("focal", r.focal());
                parts.put("dice", r.dice());
                parts.put("iou_mse", r.iou());
                return r.total();
            });
        }
    }

    private static void originalEncode(Case c, Answers answers) {
        Image image = Images.read(c.file("image"));
        try (Segment segment = Segment.load(c.model())) {
            Tensor pixels = segment.processor().process(image).pixels();
            answers.put("pixel_values", pixels);
            answers.put("features", segment.model().encode(pixels));
        }
    }

    private static void originalPredict(Case c, Answers answers) {
        float[] xy = c.input("points").toFloats();
        long[] labels = c.input("labels").toLongs();
        Box box = boxes(c.input("box")).get(0);
        Tensor earlier = c.input("mask_input");
        Json requests = c.params().at("requests");
        try (Segment segment = Segment.load(c.model());
                Segment.Picture picture = segment.open(Images.read(c.file("image")))) {
            for (String name : requests.keys()) {
                Json r = requests.at(name);
                List<Segment.Point> points = new ArrayList<>();
                for (int i : r.get("points", new int[0])) {
                    points.add(new Segment.Point(xy[2 * i], xy[2 * i + 1], labels[i] == 1));
                }
                boolean several = r.get("multimask", true);
                Segment.Prompt prompt = new Segment.Prompt(
                        points,
                        r.get("box", false) ? box : null,
                        r.get("mask_input", false)
                                ? new Segment.Logits((int) earlier.size(0), earlier.toFloats())
                                : null,
                        several);
                SamMaskDecoder.Output o = segment.model().decode(picture.embedding(), picture.prompts(prompt), several);
                answers.put(name + "_low_res", o.masks().squeeze(0).squeeze(0));
                answers.put(name + "_iou", o.iou().flatten(0));
                answers.put(
                        name + "_logits",
                        picture.frame().masks(o.masks().squeeze(0)).squeeze(0));
            }
        }
    }

    private static void originalAutomatic(Case c, Answers answers) {
        Json p = c.params();
        AutomaticMasks.Settings settings = new AutomaticMasks.Settings(
                p.get("points_per_side", 32),
                p.get("points_per_batch", 64),
                p.get("pred_iou_thresh", .88),
                p.get("stability_score_thresh", .95),
                p.get("stability_score_offset", 1.),
                0,
                p.get("box_nms_thresh", .7),
                p.get("crop_n_layers", 0),
                p.get("crop_overlap_ratio", 512 / 1500.),
                p.get("crop_n_points_downscale_factor", 1),
                p.get("crop_nms_thresh", .7),
                p.get("min_mask_region_area", 0),
                Rule.ORIGINAL);
        try (Segment segment = Segment.load(c.model())) {
            List<Found> found = new AutomaticMasks(segment, settings)
                    .generate(Images.read(c.file("image")), Progress.NONE)
                    .masks();
            List<Mask> masks = found.stream().map(f -> f.mask().mask()).toList();
            answers.put("masks", bits(masks));
            answers.put("area", Tensor.of(masks.stream().mapToLong(Mask::area).toArray(), masks.size()));
            answers.put("bbox", xywh(found.stream().map(Found::box).toList()));
            answers.put(
                    "predicted_iou",
                    found.stream().mapToDouble(Found::predictedIou).toArray());
            answers.put(
                    "stability_score",
                    found.stream().mapToDouble(Found::stability).toArray());
            float[] xy = new float[2 * found.size()];
            for (int i = 0; i < found.size(); i++) {
                xy[2 * i] = (float) found.get(i).point().x();
                xy[2 * i + 1] = (float) found.get(i).point().y();
            }
            answers.put("point", Tensor.of(xy, found.size(), 2));
            answers.put("crop_box", xywh(found.stream().map(f -> f.crop().box()).toList()));
        }
    }

    private static void rle(Case c, Answers answers) {
        for (Map.Entry<String, Tensor> e : c.inputs().entrySet()) {
            String of = e.getKey().replaceFirst("^mask", "");
            Mask mask = masks(e.getValue().unsqueeze(0)).get(0);
            Rle rle = Rle.of(mask);
            String text = rle.compressed();
            byte[] ascii = text.getBytes(StandardCharsets.US_ASCII);
            answers.put("counts" + of, Tensor.of(longs(rle), rle.counts().length));
            answers.put("compressed" + of, Tensor.of(ascii, ascii.length).to(DType.INT64));
            answers.put("area" + of, Tensor.of(new long[] {rle.area()}, 1));
            Box b = mask.box();
            double whole = mask.area() == 0 ? 0 : 1; // COCO's boxes end behind the last pixel
            answers.put("bbox" + of, b.x0(), b.y0(), b.width() + whole, b.height() + whole);
            answers.equal(
                    "decoded" + of,
                    mask,
                    Rle.of(mask.width(), mask.height(), text).mask());
        }
    }

    private static void iou(Case c, Answers answers) {
        List<Rle> a = masks(c.input("a")).stream().map(Rle::of).toList();
        List<Rle> b = masks(c.input("b")).stream().map(Rle::of).toList();
        for (boolean crowd : new boolean[] {false, true}) {
            float[] values = new float[a.size() * b.size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) a.get(i / b.size()).iou(b.get(i % b.size()), crowd);
            }
            answers.put(crowd ? "iou_crowd" : "iou", Tensor.of(values, a.size(), b.size()));
        }
    }

    /** {@code [mask, H, W]} of zeros and others. */
    private static List<Mask> masks(Tensor t) {
        byte[] bits = t.ne(0).to(DType.UINT8).toBytes();
        int height = (int) t.size(1);
        int width = (int) t.size(2);
        List<Mask> r = new ArrayList<>();
        for (int i = 0; i < t.size(0); i++) {
            byte[] own = new byte[height * width];
            System.arraycopy(bits, i * own.length, own, 0, own.length);
            r.add(new Mask(width, height, own));
        }
        return r;
    }

    private static Tensor bits(List<Mask> masks) {
        return Tensor.stack(
                0,
                masks.stream()
                        .map(m -> Tensor.of(m.bits(), m.height(), m.width()))
                        .toList());
    }

    private static Tensor xywh(List<Box> boxes) {
        return boxes(boxes, b -> new Box(b.x0(), b.y0(), b.width(), b.height()));
    }

    private static Tensor indices(List<Integer> values) {
        return Tensor.of(values.stream().mapToLong(Integer::longValue).toArray(), values.size());
    }

    private static List<Double> doubles(Tensor t) {
        List<Double> r = new ArrayList<>();
        for (double v : t.toDoubles()) {
            r.add(v);
        }
        return r;
    }

    private static long[] longs(Rle rle) {
        long[] r = new long[rle.counts().length];
        for (int i = 0; i < r.length; i++) {
            r[i] = rle.counts()[i];
        }
        return r;
    }
}
