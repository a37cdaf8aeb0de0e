package dev.zoetrope.tasks.annotation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.AutomaticMasks.Found;
import dev.zoetrope.tasks.Segment.Point;
import dev.zoetrope.tensor.UserError;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The masks of one picture in the form of the SA-1B data set.
 *
 * @param imageId a number for the picture
 * @param fileName of the picture; here it may be a path from where this file lies
 * @param width of the picture
 * @param height of the picture
 */
public record Sa1b(long imageId, String fileName, int width, int height, List<Entry> annotations) {
    /**
     * A mask.
     *
     * @param crop the part of the picture in which it was asked for
     * @param points that were asked, in pixels of the picture
     */
    public record Entry(
            long id, Rle mask, Box box, double predictedIou, double stability, Box crop, List<Point> points) {
        public Entry {
            points = List.copyOf(points);
        }
    }

    public Sa1b {
        annotations = List.copyOf(annotations);
    }

    public static Sa1b of(long imageId, String fileName, int width, int height, List<Found> found) {
        List<Entry> entries = new ArrayList<>();
        for (Found f : found) {
            entries.add(new Entry(
                    entries.size() + 1L,
                    f.mask(),
                    f.box(),
                    f.predictedIou(),
                    f.stability(),
                    f.crop().box(),
                    List.of(f.point())));
        }
        return new Sa1b(imageId, fileName, width, height, entries);
    }

    /** What a session holds of a picture. */
    public static Sa1b of(long imageId, String fileName, int width, int height, AnnotationSession.Item item) {
        Box whole = new Box(0, 0, width, height);
        return new Sa1b(
                imageId,
                fileName,
                width,
                height,
                item.annotations().stream()
                        .map(a -> new Entry(
                                a.id(),
                                a.mask(),
                                a.mask().mask().box(),
                                a.predictedIou(),
                                a.stability(),
                                whole,
                                a.points()))
                        .toList());
    }

    /**
     * Several pictures in the form of COCO's instances, all of one category.
     *
     * @return the text of the file
     */
    public static String coco(List<Sa1b> pictures) {
        List<Map<String, Object>> images = new ArrayList<>();
        List<Map<String, Object>> annotations = new ArrayList<>();
        for (Sa1b p : pictures) {
            Map<String, Object> image = new LinkedHashMap<>();
            image.put("id", p.imageId);
            image.put("width", p.width);
            image.put("height", p.height);
            image.put("file_name", p.fileName);
            images.add(image);
            for (Entry e : p.annotations) {
                Map<String, Object> a = annotation(annotations.size() + 1L, e.mask, e.box, e.predictedIou, e.stability);
                a.put("image_id", p.imageId);
                a.put("category_id", 1);
                a.put("iscrowd", 0);
                annotations.add(a);
            }
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("images", images);
        all.put("annotations", annotations);
        all.put("categories", List.of(Map.of("id", 1, "name", "object")));
        return text(all);
    }

    public static Sa1b read(Path file) {
        Json j = Json.read(file);
        Json image = j.requireAt("image");
        List<Entry> entries = new ArrayList<>();
        for (Json a : j.list("annotations")) {
            Rle mask = rle(a);
            entries.add(new Entry(
                    a.get("id", 0L),
                    mask,
                    mask.mask().box(),
                    a.get("predicted_iou", 1.0),
                    a.get("stability_score", 1.0),
                    new Box(0, 0, mask.width(), mask.height()),
                    List.of()));
        }
        return new Sa1b(
                image.get("image_id", 0L),
                image.require("file_name"),
                image.requireInt("width"),
                image.requireInt("height"),
                entries);
    }

    /** The mask of an annotation; its runs as COCO's text, or as numbers. */
    static Rle rle(Json annotation) {
        Json s = annotation.requireAt("segmentation");
        int[] size = s.get("size", new int[0]);
        if (size.length != 2) {
            throw new UserError(s.name() + ": size is not [height, width]");
        }
        return s.isArray("counts")
                ? new Rle(size[1], size[0], s.get("counts", new int[0]))
                : Rle.of(size[1], size[0], s.require("counts"));
    }

    public void write(Path file) {
        byte[] text = json().getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(file, out -> out.write(text));
    }

    public String json() {
        Map<String, Object> image = new LinkedHashMap<>();
        image.put("image_id", imageId);
        image.put("width", width);
        image.put("height", height);
        image.put("file_name", fileName);
        List<Map<String, Object>> all = new ArrayList<>();
        for (Entry e : annotations) {
            Map<String, Object> a = annotation(e.id, e.mask, e.box, e.predictedIou, e.stability);
            a.put("crop_box", xywh(e.crop));
            a.put("point_coords", coordinates(e.points));
            all.add(a);
        }
        return text(Map.of("image", image), Map.of("annotations", all));
    }

    /** What an annotation is in this form and in a session. */
    static Map<String, Object> annotation(long id, Rle mask, Box box, double predictedIou, double stability) {
        Map<String, Object> a = new LinkedHashMap<>();
        a.put("id", id);
        a.put("segmentation", segmentation(mask));
        a.put("bbox", xywh(box));
        a.put("area", mask.area());
        a.put("predicted_iou", predictedIou);
        a.put("stability_score", stability);
        return a;
    }

    /** COCO's compressed form: size and counts. */
    public static Map<String, Object> segmentation(Rle mask) {
        Map<String, Object> s = new LinkedHashMap<>();
        s.put("size", List.of(mask.height(), mask.width()));
        s.put("counts", mask.compressed());
        return s;
    }

    /** x, y, width, height. */
    public static List<Double> xywh(Box b) {
        return List.of(b.x0(), b.y0(), b.width(), b.height());
    }

    static List<List<Double>> coordinates(List<Point> points) {
        return points.stream().map(p -> List.of(p.x(), p.y())).toList();
    }

    @SafeVarargs
    static String text(Map<String, Object>... parts) {
        Map<String, Object> all = new LinkedHashMap<>();
        for (Map<String, Object> part : parts) {
            all.putAll(part);
        }
        try {
            return new ObjectMapper().writeValueAsString(all) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
