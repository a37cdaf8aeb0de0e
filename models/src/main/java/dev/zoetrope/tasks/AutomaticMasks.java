package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Box;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Mask;
import dev.zoetrope.media.Rle;
import dev.zoetrope.models.sam.SamMaskDecoder;
import dev.zoetrope.models.sam.SamPrompts;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Segments everything in a picture: a grid of points asks the model, three masks a point, and of the answers those stay
 * that the model believes in, that do not depend on the threshold, and that are not there already.
 *
 * <p>One thread at a time.
 */
public final class AutomaticMasks {
    /** How near to a crop's edge a mask counts as cut off by it, in pixels. */
    private static final double EDGE = 20;

    /** Logits in the picture's size that stand at a time. */
    private static final long AT_ONCE = 1L << 24;

    /** Which of two published rules holds where they differ. */
    public enum Rule {
        /** Duplicates go within each crop by predicted IoU, then across crops, where the smaller crop wins. */
        ORIGINAL,
        /** Duplicates of all crops go at once, by predicted IoU: the transformers library. */
        TRANSFORMERS
    }

    /**
     * @param pointsPerSide of the grid, in columns and in rows
     * @param pointsPerBatch decoded at a time
     * @param predictedIou masks must exceed it; 0 for no limit
     * @param stability masks must reach it; 0 for no limit
     * @param stabilityOffset how far the threshold is moved both ways to see how stable a mask is
     * @param threshold logits above it are in the mask
     * @param boxOverlap IoU of boxes above which the lesser of two masks goes
     * @param cropLayers 0 for the picture only; layer k adds 2^k by 2^k overlapping crops
     * @param cropOverlap of neighbouring crops, as a share of the shorter side
     * @param cropPointsDivisor by how much the grid has fewer points per side in each layer
     * @param cropBoxOverlap as boxOverlap, across crops
     * @param minRegionArea holes and islands of fewer pixels are removed; 0 for none
     */
    public record Settings(
            int pointsPerSide,
            int pointsPerBatch,
            double predictedIou,
            double stability,
            double stabilityOffset,
            double threshold,
            double boxOverlap,
            int cropLayers,
            double cropOverlap,
            int cropPointsDivisor,
            double cropBoxOverlap,
            int minRegionArea,
            Rule rule) {
        public Settings {
            Check.between(1, 1024, pointsPerSide, "points per side");
            Check.positive(pointsPerBatch, "points per batch");
            Check.between(0, 4, cropLayers, "crop layers");
            Check.positive(cropPointsDivisor, "divisor of the points in crops");
            Check.between(0, 0.99, cropOverlap, "overlap of crops");
            Check.between(0, Integer.MAX_VALUE, minRegionArea, "smallest region");
        }

        /** As published. */
        public static Settings published() {
            return new Settings(32, 64, .88, .95, 1, 0, .7, 0, 512 / 1500., 1, .7, 0, Rule.ORIGINAL);
        }

        public Settings withPointsPerSide(int value) {
            return new Settings(
                    value,
                    pointsPerBatch,
                    predictedIou,
                    stability,
                    stabilityOffset,
                    threshold,
                    boxOverlap,
                    cropLayers,
                    cropOverlap,
                    cropPointsDivisor,
                    cropBoxOverlap,
                    minRegionArea,
                    rule);
        }

        public Settings withThresholds(double iou, double stable) {
            return new Settings(
                    pointsPerSide,
                    pointsPerBatch,
                    iou,
                    stable,
                    stabilityOffset,
                    threshold,
                    boxOverlap,
                    cropLayers,
                    cropOverlap,
                    cropPointsDivisor,
                    cropBoxOverlap,
                    minRegionArea,
                    rule);
        }

        public Settings withCrops(int layers, int pointsDivisor) {
            return new Settings(
                    pointsPerSide,
                    pointsPerBatch,
                    predictedIou,
                    stability,
                    stabilityOffset,
                    threshold,
                    boxOverlap,
                    layers,
                    cropOverlap,
                    pointsDivisor,
                    cropBoxOverlap,
                    minRegionArea,
                    rule);
        }

        public Settings withBoxOverlap(double value) {
            return new Settings(
                    pointsPerSide,
                    pointsPerBatch,
                    predictedIou,
                    stability,
                    stabilityOffset,
                    threshold,
                    value,
                    cropLayers,
                    cropOverlap,
                    cropPointsDivisor,
                    cropBoxOverlap,
                    minRegionArea,
                    rule);
        }

        public Settings withMinRegionArea(int value) {
            return new Settings(
                    pointsPerSide,
                    pointsPerBatch,
                    predictedIou,
                    stability,
                    stabilityOffset,
                    threshold,
                    boxOverlap,
                    cropLayers,
                    cropOverlap,
                    cropPointsDivisor,
                    cropBoxOverlap,
                    value,
                    rule);
        }

        int pointsPerSide(int layer) {
            return Math.max(1, (int) (pointsPerSide / Math.pow(cropPointsDivisor, layer)));
        }
    }

    /**
     * A part of the picture that is looked at by itself.
     *
     * @param layer 0 for the whole picture
     * @param box its pixels; the right and bottom edges are exclusive
     */
    public record Crop(int layer, Box box) {
        int left() {
            return (int) box.x0();
        }

        int top() {
            return (int) box.y0();
        }

        int width() {
            return (int) box.width();
        }

        int height() {
            return (int) box.height();
        }
    }

    /**
     * A mask that was found.
     *
     * @param mask in the picture's size
     * @param box its outermost pixels
     * @param predictedIou what the model thinks of it
     * @param stability share of the mask that stays when the threshold rises
     * @param point which asked, in pixels of the picture
     * @param crop in which it was asked
     */
    public record Found(Rle mask, Box box, double predictedIou, double stability, Segment.Point point, Crop crop) {}

    /** How many masks there were, and how many each filter left. */
    public record Counts(int candidates, int believed, int stable, int whole) {
        Counts plus(Counts o) {
            return new Counts(candidates + o.candidates, believed + o.believed, stable + o.stable, whole + o.whole);
        }
    }

    public record Result(List<Found> masks, Counts counts) {}

    private final Segment segment;
    private final Settings settings;

    public AutomaticMasks(Segment segment, Settings settings) {
        this.segment = segment;
        this.settings = settings;
    }

    /** All masks; progress counts points. */
    public Result generate(Image image, Progress progress) {
        List<Crop> crops = crops(image.width(), image.height(), settings);
        int points = crops.stream()
                .mapToInt(c -> settings.pointsPerSide(c.layer) * settings.pointsPerSide(c.layer))
                .sum();
        List<Found> all = new ArrayList<>();
        Counts counts = new Counts(0, 0, 0, 0);
        int done = 0;
        for (Crop crop : crops) {
            Image part = crop.layer == 0 ? image : image.crop(crop.left(), crop.top(), crop.width(), crop.height());
            List<Found> found = new ArrayList<>();
            List<Segment.Point> grid = grid(crop, settings);
            try (Segment.Picture picture = segment.open(part)) {
                for (int from = 0; from < grid.size(); from += settings.pointsPerBatch) {
                    List<Segment.Point> some =
                            grid.subList(from, Math.min(grid.size(), from + settings.pointsPerBatch));
                    counts = counts.plus(ask(picture, some, crop, image, found));
                    done += some.size();
                    if (!progress.step(done, points)) {
                        throw new CancellationException();
                    }
                }
            }
            all.addAll(settings.rule == Rule.ORIGINAL ? distinct(found, settings.boxOverlap) : found);
        }
        if (settings.rule == Rule.TRANSFORMERS) {
            all = distinct(all, settings.boxOverlap);
        } else if (crops.size() > 1) {
            List<Box> boxes = all.stream().map(Found::box).toList();
            List<Double> smaller = all.stream().map(f -> 1 / f.crop.box.area()).toList();
            all = picked(all, Box.suppress(boxes, smaller, settings.cropBoxOverlap));
        }
        if (settings.minRegionArea > 0) {
            all = cleaned(all);
        }
        return new Result(List.copyOf(all), counts);
    }

    /** The picture itself, then layer by layer overlapping crops, column by column. */
    public static List<Crop> crops(int width, int height, Settings settings) {
        List<Crop> r = new ArrayList<>();
        r.add(new Crop(0, new Box(0, 0, width, height)));
        for (int layer = 1; layer <= settings.cropLayers; layer++) {
            int n = 1 << layer;
            int overlap = (int) (settings.cropOverlap * Math.min(width, height) * (2. / n));
            int w = (int) Math.ceil((overlap * (n - 1) + width) / (double) n);
            int h = (int) Math.ceil((overlap * (n - 1) + height) / (double) n);
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < n; j++) {
                    int x = (w - overlap) * i;
                    int y = (h - overlap) * j;
                    r.add(new Crop(layer, new Box(x, y, Math.min(x + w, width), Math.min(y + h, height))));
                }
            }
        }
        return r;
    }

    /** Points in the crop's own pixels, row by row. */
    public static List<Segment.Point> grid(Crop crop, Settings settings) {
        int n = settings.pointsPerSide(crop.layer);
        List<Segment.Point> r = new ArrayList<>();
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < n; i++) {
                r.add(new Segment.Point((i + .5) / n * crop.width(), (j + .5) / n * crop.height(), true));
            }
        }
        return r;
    }

    /** Adds to {@code found} what passes the filters that look at one mask. */
    private Counts ask(Segment.Picture picture, List<Segment.Point> points, Crop crop, Image image, List<Found> found) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            SamMaskDecoder.Output o = segment.model().decode(picture.embedding(), prompts(picture, points), true);
            int perPoint = (int) o.iou().size(2);
            Tensor low = o.masks().flatten(0, 2).unsqueeze(1); // [points * 3, 1, h, w]
            float[] iou = o.iou().toFloats();
            long[] believed = settings.predictedIou > 0 ? above(iou, settings.predictedIou) : all(iou.length);
            int stable = 0;
            int whole = 0;
            int chunk = (int) Math.max(1, AT_ONCE / ((long) crop.width() * crop.height()));
            for (int from = 0; from < believed.length; from += chunk) {
                long[] some = Arrays.copyOfRange(believed, from, Math.min(believed.length, from + chunk));
                try (Scope inner = Scope.open()) {
                    Tensor logits = picture.frame()
                            .masks(low.indexSelect(0, Tensor.of(some, some.length)))
                            .squeeze(1); // [n, height, width]
                    double[] stability = stability(logits, settings.threshold, settings.stabilityOffset);
                    byte[] bits = logits.gt(settings.threshold).to(DType.UINT8).toBytes();
                    int size = crop.width() * crop.height();
                    for (int i = 0; i < some.length; i++) {
                        if (!isStable(stability[i])) {
                            continue;
                        }
                        stable++;
                        Mask own = new Mask(
                                crop.width(), crop.height(), Arrays.copyOfRange(bits, i * size, (i + 1) * size));
                        Box box = own.box().moved(crop.left(), crop.top());
                        if (cutOff(box, crop.box, image)) {
                            continue;
                        }
                        whole++;
                        Segment.Point p = points.get((int) some[i] / perPoint);
                        found.add(new Found(
                                Rle.of(own.placed(crop.left(), crop.top(), image.width(), image.height())),
                                box,
                                iou[(int) some[i]],
                                stability[i],
                                new Segment.Point(p.x() + crop.left(), p.y() + crop.top(), true),
                                crop));
                    }
                }
            }
            return new Counts(iou.length, believed.length, stable, whole);
        }
    }

    private static SamPrompts prompts(Segment.Picture picture, List<Segment.Point> points) {
        float[] xy = new float[2 * points.size()];
        for (int i = 0; i < points.size(); i++) {
            xy[2 * i] = (float) picture.frame().x(points.get(i).x());
            xy[2 * i + 1] = (float) picture.frame().y(points.get(i).y());
        }
        long[] foreground = new long[points.size()];
        Arrays.fill(foreground, 1);
        return SamPrompts.points(Tensor.of(xy, 1, points.size(), 1, 2), Tensor.of(foreground, 1, points.size(), 1));
    }

    /** For each mask the share of it that stays when the threshold rises; NaN for an empty one. {@code [n, H, W]} */
    public static double[] stability(Tensor logits, double threshold, double offset) {
        try (Scope s = Scope.open()) {
            long[] inner =
                    logits.gt(threshold + offset).to(DType.INT64).sum(-2, -1).toLongs();
            long[] outer =
                    logits.gt(threshold - offset).to(DType.INT64).sum(-2, -1).toLongs();
            double[] r = new double[inner.length];
            for (int i = 0; i < r.length; i++) {
                r[i] = (float) inner[i] / (float) outer[i];
            }
            return r;
        }
    }

    private boolean isStable(double stability) {
        return settings.stability <= 0
                || (settings.rule == Rule.ORIGINAL ? stability >= settings.stability : stability > settings.stability);
    }

    /** Whether a mask ends where its crop does and the picture does not. */
    private static boolean cutOff(Box box, Box crop, Image image) {
        return near(box.x0(), crop.x0(), 0)
                || near(box.y0(), crop.y0(), 0)
                || near(box.x1(), crop.x1(), image.width())
                || near(box.y1(), crop.y1(), image.height());
    }

    private static boolean near(double edge, double ofCrop, double ofPicture) {
        return Math.abs(edge - ofCrop) <= EDGE && !(Math.abs(edge - ofPicture) <= EDGE);
    }

    private static List<Found> distinct(List<Found> found, double overlap) {
        List<Box> boxes = found.stream().map(Found::box).toList();
        List<Double> scores = found.stream().map(Found::predictedIou).toList();
        return picked(found, Box.suppress(boxes, scores, overlap));
    }

    private List<Found> cleaned(List<Found> found) {
        List<Mask> masks = found.stream().map(f -> f.mask.mask()).toList();
        List<Found> r = new ArrayList<>();
        for (Kept k : clean(masks, settings.minRegionArea, Math.max(settings.boxOverlap, settings.cropBoxOverlap))) {
            Found f = found.get(k.index);
            r.add(new Found(Rle.of(k.mask), k.mask.box(), f.predictedIou, f.stability, f.point, f.crop));
        }
        return r;
    }

    /** A mask that stayed: which it was, and what it is without small regions. */
    public record Kept(int index, Mask mask) {}

    /**
     * Removes small holes and islands, and what then is there twice; masks that needed no cleaning win.
     *
     * @param overlap IoU of boxes above which the lesser goes
     */
    public static List<Kept> clean(List<Mask> masks, int minArea, double overlap) {
        List<Mask.Cleaned> cleaned =
                masks.stream().map(m -> m.withoutSmallRegions(minArea)).toList();
        List<Box> boxes = cleaned.stream().map(c -> c.mask().box()).toList();
        List<Double> scores = cleaned.stream().map(c -> c.changed() ? 0. : 1.).toList();
        List<Kept> r = new ArrayList<>();
        for (int i : Box.suppress(boxes, scores, overlap)) {
            r.add(new Kept(i, cleaned.get(i).mask()));
        }
        return r;
    }

    private static <T> List<T> picked(List<T> from, List<Integer> indices) {
        List<T> r = new ArrayList<>();
        indices.forEach(i -> r.add(from.get(i)));
        return r;
    }

    private static long[] above(float[] values, double limit) {
        List<Long> r = new ArrayList<>();
        for (int i = 0; i < values.length; i++) {
            if (values[i] > limit) {
                r.add((long) i);
            }
        }
        return r.stream().mapToLong(Long::longValue).toArray();
    }

    private static long[] all(int n) {
        long[] r = new long[n];
        Arrays.setAll(r, i -> i);
        return r;
    }
}
