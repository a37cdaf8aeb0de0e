package dev.zoetrope.tasks.annotation;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Rle;
import dev.zoetrope.tasks.Segment.Point;
import dev.zoetrope.tensor.UserError;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What people and model have annotated: pictures, clicks and accepted masks, in one file of JSON. Every change is on the
 * disk, complete, before its method returns. Safe for several threads of one process.
 */
public final class AnnotationSession {
    private static final int VERSION = 1;

    /** Who made a mask. */
    public enum Source {
        /** A person, by clicks and boxes. */
        MANUAL,
        /** The model, where it was sure, before a person looked. */
        CONFIDENT,
        /** The model alone. */
        AUTOMATIC
    }

    /**
     * An accepted mask.
     *
     * @param id unique in its picture
     * @param points that led to it
     * @param box that led to it; null for none
     * @param predictedIou what the model thinks of it, 0..1
     * @param stability share of it that stays when the threshold rises, 0..1
     */
    public record Annotation(
            long id,
            Rle mask,
            Source source,
            List<Point> points,
            @Nullable Box box,
            double predictedIou,
            double stability) {
        public Annotation {
            points = List.copyOf(points);
        }
    }

    /**
     * A picture of the session.
     *
     * @param file absolute
     * @param done whether nothing is missing any more
     */
    public record Item(Path file, boolean done, List<Annotation> annotations) {
        public Item {
            annotations = List.copyOf(annotations);
        }
    }

    private final Path file;
    private final List<Item> items = new ArrayList<>();

    private AnnotationSession(Path file) {
        this.file = file.toAbsolutePath().normalize();
    }

    /** A new session; the file must not exist. */
    public static AnnotationSession create(Path file, List<Path> pictures) {
        if (Files.exists(file)) {
            throw new UserError(file + ": exists already; open that session, or name another file");
        }
        AnnotationSession s = new AnnotationSession(file);
        s.add(pictures);
        return s;
    }

    public static AnnotationSession open(Path file) {
        AnnotationSession s = new AnnotationSession(file);
        Json j = Json.read(file);
        if (j.requireInt("version") != VERSION) {
            throw j.unsupported("version", VERSION);
        }
        for (Json image : j.list("images")) {
            List<Annotation> annotations = new ArrayList<>();
            for (Json a : image.list("annotations")) {
                annotations.add(annotation(a));
            }
            s.items.add(new Item(
                    s.file.resolveSibling(image.require("file")).normalize(), image.get("done", false), annotations));
        }
        return s;
    }

    private static Annotation annotation(Json a) {
        List<Point> points = new ArrayList<>();
        double[] xy = a.get("points", new double[0]);
        int[] labels = a.get("point_labels", new int[0]);
        for (int i = 0; i < labels.length && 2 * i + 1 < xy.length; i++) {
            points.add(new Point(xy[2 * i], xy[2 * i + 1], labels[i] == 1));
        }
        double[] b = a.get("box", new double[0]);
        return new Annotation(
                a.get("id", 0L),
                Sa1b.rle(a),
                a.get("source", Source.MANUAL),
                points,
                b.length == 4 ? new Box(b[0], b[1], b[2], b[3]) : null,
                a.get("predicted_iou", 0.0),
                a.get("stability_score", 0.0));
    }

    public Path file() {
        return file;
    }

    public synchronized List<Item> items() {
        return List.copyOf(items);
    }

    public synchronized Item item(int picture) {
        if (picture < 0 || picture >= items.size()) {
            throw new UserError(
                    file + ": there is no picture " + picture + ", pictures are 0 to " + (items.size() - 1));
        }
        return items.get(picture);
    }

    /** Adds pictures that are not in the session yet. */
    public synchronized void add(List<Path> pictures) {
        for (Path p : pictures) {
            Path absolute = p.toAbsolutePath().normalize();
            if (!Files.isRegularFile(absolute)) {
                throw new UserError(p + ": there is no such picture");
            }
            if (items.stream().noneMatch(i -> i.file.equals(absolute))) {
                items.add(new Item(absolute, false, List.of()));
            }
        }
        save();
    }

    /** Adds a mask under a new number. */
    public synchronized Annotation accept(
            int picture,
            Rle mask,
            Source source,
            List<Point> points,
            @Nullable Box box,
            double predictedIou,
            double stability) {
        Item item = item(picture);
        long id = 1 + item.annotations.stream().mapToLong(Annotation::id).max().orElse(0);
        Annotation a = new Annotation(id, mask, source, points, box, predictedIou, stability);
        List<Annotation> all = new ArrayList<>(item.annotations);
        all.add(a);
        items.set(picture, new Item(item.file, item.done, all));
        save();
        return a;
    }

    /** Takes a mask away again. */
    public synchronized void remove(int picture, long id) {
        Item item = item(picture);
        List<Annotation> rest =
                item.annotations.stream().filter(a -> a.id != id).toList();
        if (rest.size() == item.annotations.size()) {
            throw new UserError(item.file + ": there is no mask " + id + "; masks are "
                    + item.annotations.stream().map(Annotation::id).toList());
        }
        items.set(picture, new Item(item.file, item.done, rest));
        save();
    }

    /** Says whether anything is missing in a picture. */
    public synchronized void setDone(int picture, boolean done) {
        Item item = item(picture);
        items.set(picture, new Item(item.file, done, item.annotations));
        save();
    }

    private void save() {
        List<Map<String, Object>> images = new ArrayList<>();
        for (Item item : items) {
            Map<String, Object> i = new LinkedHashMap<>();
            i.put("file", relative(item.file));
            i.put("done", item.done);
            i.put(
                    "annotations",
                    item.annotations.stream().map(AnnotationSession::json).toList());
            images.add(i);
        }
        byte[] text =
                Sa1b.text(Map.of("version", VERSION), Map.of("images", images)).getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(file, out -> out.write(text));
    }

    private String relative(Path picture) {
        Path folder = file.getParent();
        boolean sameRoot = folder != null && folder.getRoot().equals(picture.getRoot());
        return (sameRoot ? folder.relativize(picture) : picture).toString();
    }

    private static Map<String, Object> json(Annotation a) {
        Map<String, Object> j = Sa1b.annotation(a.id, a.mask, a.mask.mask().box(), a.predictedIou, a.stability);
        j.put("source", a.source.name().toLowerCase(Locale.ROOT));
        j.put(
                "points",
                a.points.stream().flatMap(p -> List.of(p.x(), p.y()).stream()).toList());
        j.put("point_labels", a.points.stream().map(p -> p.foreground() ? 1 : 0).toList());
        if (a.box != null) {
            j.put("box", List.of(a.box.x0(), a.box.y0(), a.box.x1(), a.box.y1()));
        }
        return j;
    }
}
