package dev.zoetrope.training.sam;

import dev.zoetrope.media.Box;
import dev.zoetrope.media.Mask;
import dev.zoetrope.tasks.AutomaticMasks;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Segment;
import dev.zoetrope.tasks.Segment.Candidate;
import dev.zoetrope.tasks.Segment.Point;
import dev.zoetrope.tasks.Segment.Prompt;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Measures a model as a person would use it: a click in the middle of an object, then clicks in the middle of what is
 * wrong. Scenes are of Carousel's test split, from another world than that of training.
 */
public final class SamEvaluation {
    private static final long WORLD_SEED = 4242;
    private static final int CLICKS = 5;
    private static final double FOUND = .75;

    /**
     * @param masks objects a row of the table
     * @param scenes in which everything is segmented, for the recall of the automatic mode; 0 leaves it out
     * @param side of the scenes in pixels
     */
    public record Settings(int masks, int scenes, int side) {}

    /**
     * A row of the table.
     *
     * @param masks how many objects
     * @param clicks mean IoU after each click, 1 to 5
     * @param deviations standard deviations of these
     * @param box mean IoU of a box's answer
     * @param recall share of objects that the automatic mode finds with an IoU of 0.75; NaN where it was left out
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Result(String name, int masks, double[] clicks, double[] deviations, double box, double recall) {}

    private final Segment segment;
    private final Settings settings;

    public SamEvaluation(Segment segment, Settings settings) {
        this.segment = segment;
        this.settings = settings;
    }

    /** All rows; progress counts objects. */
    public List<Result> run(Progress progress) {
        List<Result> r = new ArrayList<>();
        for (SamWorld.Shown shown : SamWorld.Shown.values()) {
            int before = r.size() * settings.masks;
            int of = SamWorld.Shown.values().length * settings.masks;
            r.add(row(shown, (done, all) -> progress.step(before + done, of)));
        }
        return r;
    }

    /** The row of objects that training shows. */
    public Result seen() {
        return row(SamWorld.Shown.SEEN, Progress.NONE);
    }

    private Result row(SamWorld.Shown shown, Progress progress) {
        World world = SamWorld.test(WORLD_SEED, settings.side, shown);
        SamSamples samples = SamSamples.of(world);
        double[] sum = new double[CLICKS];
        double[] squares = new double[CLICKS];
        double boxes = 0;
        int done = 0;
        for (long i = 0; done < settings.masks; i++) {
            SamSamples.Sample sample = samples.sample(i);
            try (Segment.Picture picture = segment.open(sample.picture())) {
                for (Mask truth : sample.masks()) {
                    if (done == settings.masks) {
                        break;
                    }
                    double[] iou = clicks(picture, truth);
                    for (int k = 0; k < CLICKS; k++) {
                        sum[k] += iou[k];
                        squares[k] += iou[k] * iou[k];
                    }
                    boxes += box(picture, truth);
                    done++;
                    progress.step(done, settings.masks);
                }
            }
        }
        double[] deviations = new double[CLICKS];
        for (int k = 0; k < CLICKS; k++) {
            sum[k] /= done;
            deviations[k] = Math.sqrt(Math.max(0, squares[k] / done - sum[k] * sum[k]));
        }
        return new Result(shown.label, done, sum, deviations, boxes / done, recall(samples));
    }

    private static double[] clicks(Segment.Picture picture, Mask truth) {
        double[] iou = new double[CLICKS];
        List<Point> points = new ArrayList<>();
        Mask answer = new Mask(truth.width(), truth.height(), new byte[truth.bits().length]);
        Segment.Logits earlier = null;
        for (int k = 0; k < CLICKS; k++) {
            points.add(next(truth, answer));
            Prompt prompt = Prompt.of(points);
            Candidate best = picture.answer(earlier == null ? prompt : prompt.refining(earlier))
                    .best();
            answer = best.mask();
            earlier = best.logits();
            iou[k] = truth.iou(answer);
        }
        return iou;
    }

    /** The middle of the larger error. */
    private static Point next(Mask truth, Mask answer) {
        Mask missing = truth.without(answer);
        Mask excess = answer.without(truth);
        boolean foreground = missing.area() >= excess.area();
        Mask wrong = foreground ? missing : excess;
        int at = wrong.area() == 0 ? truth.innermost() : wrong.innermost();
        return new Point(at % truth.width(), (double) (at / truth.width()), foreground || wrong.area() == 0);
    }

    private static double box(Segment.Picture picture, Mask truth) {
        Box b = truth.box();
        Box around = new Box(b.x0(), b.y0(), b.x1() + 1, b.y1() + 1);
        return truth.iou(picture.answer(Prompt.of(around)).best().mask());
    }

    private double recall(SamSamples samples) {
        AutomaticMasks automatic = new AutomaticMasks(
                segment,
                AutomaticMasks.Settings.published().withPointsPerSide(16).withThresholds(.7, .8));
        int found = 0;
        int all = 0;
        for (long i = 0; i < settings.scenes; i++) {
            SamSamples.Sample sample = samples.sample(i);
            List<Mask> masks = automatic.generate(sample.picture(), Progress.NONE).masks().stream()
                    .map(f -> f.mask().mask())
                    .toList();
            for (Mask truth : sample.masks()) {
                all++;
                found += masks.stream().anyMatch(m -> truth.iou(m) >= FOUND) ? 1 : 0;
            }
        }
        return (double) found / all; // 0 / 0 where no scene was asked for
    }

    /** The table in Markdown, with 95 % intervals of the means. */
    public static String table(List<Result> results) {
        StringBuilder b = new StringBuilder(
                "| objects | n | 1 click | 3 clicks | 5 clicks | box | found by automatic mode |\n|---|---|---|---|---|---|---|\n");
        for (Result r : results) {
            b.append(String.format(
                    Locale.ROOT,
                    "| %s | %d | %s | %s | %s | %.3f | %s |%n",
                    r.name,
                    r.masks,
                    mean(r, 0),
                    mean(r, 2),
                    mean(r, 4),
                    r.box,
                    Double.isNaN(r.recall) ? "-" : String.format(Locale.ROOT, "%.2f", r.recall)));
        }
        return b.toString();
    }

    private static String mean(Result r, int click) {
        return String.format(
                Locale.ROOT, "%.3f +- %.3f", r.clicks[click], 1.96 * r.deviations[click] / Math.sqrt(r.masks));
    }
}
