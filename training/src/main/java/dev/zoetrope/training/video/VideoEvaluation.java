package dev.zoetrope.training.video;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.training.evaluation.Mean;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.world.GeometryJudge;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Pose;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * How coherent the clips of a text-to-video model are, on captions of Carousel that training never used: whether an object
 * stays what it is, moves smoothly, keeps its surface and its ground, is what the prompt asks for, and how far the clips as
 * a whole are from true ones. The same measures on true renders of the same scenes give the ceiling.
 */
public final class VideoEvaluation {
    /** Another world than that of training. */
    private static final long WORLD_SEED = 4242;
    /** Where the scenes begin to which the distance is measured: none of them is asked for. */
    private static final long REFERENCE = 100_000_000;

    /**
     * @param clips a row of the table
     * @param frames of a clip
     * @param width in pixels
     * @param height in pixels
     * @param steps of the solver
     * @param guidanceScale how much the caption counts
     */
    public record Settings(int clips, int frames, int width, int height, int steps, double guidanceScale) {}

    /**
     * Clips of one kind.
     *
     * @param same how many show one object, the same in every frame
     * @param object how many show the object asked for, taking all frames together
     * @param motion how many move as said
     * @param ground how many have the ground
     * @param all how many are right in all three
     * @param jerk mean second difference of the object's centre, in hundredths of the canvas's shorter side
     * @param flicker mean change between frames on the object itself, its motion taken out, in parts of a colour's range
     * @param drift distance of the ground's colour in the last frame from the first, in parts of a colour's range
     * @param frechet distance to true clips of other scenes
     */
    public record Row(
            String name,
            int clips,
            int same,
            int object,
            int motion,
            int ground,
            int all,
            Mean jerk,
            Mean flicker,
            Mean drift,
            double frechet) {}

    /** Makes the clip of a scene. */
    @FunctionalInterface
    public interface Maker {
        Clip make(Scene scene, long seed);
    }

    private final ObjectJudge judge;
    private final List<WorldObject> objects;
    private final Settings settings;

    public VideoEvaluation(ObjectJudge judge, List<WorldObject> objects, Settings settings) {
        this.judge = judge;
        this.objects = objects;
        this.settings = settings;
    }

    /** What a model makes of a scene's caption. */
    public static Maker of(TextToVideo model, Settings s) {
        return (scene, seed) -> {
            TextToVideo.Request r = model.request(scene.caption())
                    .withFrames(s.frames())
                    .withSize(s.width(), s.height())
                    .withSteps(s.steps())
                    .withGuidanceScale(s.guidanceScale())
                    .withSeed(seed);
            return model.generate(r, Progress.NONE).clip();
        };
    }

    /**
     * The table's rows: true clips, seen and held-out combinations.
     *
     * @param reference clips to which the distance is measured; as many true ones if it is empty
     */
    public List<Row> run(Maker model, List<Clip> reference, Progress progress) {
        int n = settings.clips();
        int of = 3 * n;
        try (ClipFeatures real = ClipFeatures.of(judge)) {
            if (reference.isEmpty()) {
                World world = world(Split.Side.SEEN);
                for (int i = 0; i < n; i++) {
                    real.add(world.scene(REFERENCE + i).render());
                }
            } else {
                reference.forEach(real::add);
            }
            return List.of(
                    row(
                            "true clips (ceiling)",
                            Split.Side.SEEN,
                            (scene, seed) -> scene.render(),
                            real,
                            0,
                            of,
                            progress),
                    row("seen combinations", Split.Side.SEEN, model, real, n, of, progress),
                    row("held-out combinations", Split.Side.HELD_OUT, model, real, 2 * n, of, progress));
        }
    }

    private World world(Split.Side combos) {
        return new World(
                WORLD_SEED,
                Options.training()
                        .split(Split.TEST)
                        .levels(Level.L1)
                        .objects(objects)
                        .styles(Style.SHADED)
                        .combos(combos)
                        .frames(settings.frames())
                        .canvases(new World.Canvas(settings.width(), settings.height())));
    }

    private Row row(
            String name, Split.Side combos, Maker maker, ClipFeatures real, int before, int of, Progress progress) {
        World world = world(combos);
        int[] right = new int[5];
        List<Double> jerk = new ArrayList<>();
        List<Double> flicker = new ArrayList<>();
        List<Double> drift = new ArrayList<>();
        try (ClipFeatures made = ClipFeatures.of(judge)) {
            for (int i = 0; i < settings.clips(); i++) {
                Scene scene = world.scene(i);
                Clip clip = maker.make(scene, i);
                Scene.Sprite sprite = scene.sprites().get(0);
                GeometryJudge.Verdict v = GeometryJudge.judge(clip, sprite.object(), sprite.style());
                int[] seen = Seen.eachFrame(judge, clip.frames());
                boolean object =
                        Seen.inAll(judge, clip.frames()) == sprite.object().id();
                boolean motion = v.motion() == sprite.motion();
                boolean ground = v.ground() == scene.backdrop().ground();
                right[0] += Arrays.stream(seen).distinct().count() == 1 ? 1 : 0;
                right[1] += object ? 1 : 0;
                right[2] += motion ? 1 : 0;
                right[3] += ground ? 1 : 0;
                right[4] += object && motion && ground ? 1 : 0;
                jerk.add(100 * jerk(v.track()) / Math.min(clip.width(), clip.height()));
                flicker.add(v.flicker());
                Image last = clip.frames().get(clip.frames().size() - 1);
                drift.add(Steadiness.distance(
                        Steadiness.borderMedian(clip.frames().get(0)), Steadiness.borderMedian(last)));
                made.add(clip);
                if (!progress.step(before + i + 1, of)) {
                    throw new java.util.concurrent.CancellationException(
                            "stopped after " + (before + i + 1) + " clips");
                }
            }
            return new Row(
                    name,
                    settings.clips(),
                    right[0],
                    right[1],
                    right[2],
                    right[3],
                    right[4],
                    Mean.of(jerk),
                    Mean.of(flicker),
                    Mean.of(drift),
                    made.size() < 2 || real.size() < 2 ? Double.NaN : made.distance(real));
        }
    }

    /** Mean length of the second difference of the centres, in pixels. */
    static double jerk(List<Pose> track) {
        double sum = 0;
        for (int k = 1; k + 1 < track.size(); k++) {
            Pose a = track.get(k - 1);
            Pose b = track.get(k);
            Pose c = track.get(k + 1);
            sum += Math.hypot(a.x() - 2 * b.x() + c.x(), a.y() - 2 * b.y() + c.y());
        }
        return sum / Math.max(1, track.size() - 2);
    }

    /** The table in Markdown, with 95 % intervals. */
    public static String table(List<Row> rows) {
        StringBuilder b =
                new StringBuilder("| clips | n | same object in every frame | object | motion | ground | all three "
                        + "| jerk, % of the side | flicker | ground drift | Frechet distance |\n"
                        + "|---|---|---|---|---|---|---|---|---|---|---|\n");
        for (Row r : rows) {
            b.append(String.format(
                    Locale.ROOT,
                    "| %s | %d | %s | %s | %s | %s | %s | %s | %s | %s | %.3f |%n",
                    r.name(),
                    r.clips(),
                    new Share(r.same(), r.clips()),
                    new Share(r.object(), r.clips()),
                    new Share(r.motion(), r.clips()),
                    new Share(r.ground(), r.clips()),
                    new Share(r.all(), r.clips()),
                    r.jerk(),
                    r.flicker(),
                    r.drift(),
                    r.frechet()));
        }
        return b.toString();
    }

    /** What the judge names. */
    static final class Seen {
        private Seen() {}

        static int[] eachFrame(ObjectJudge judge, List<Image> frames) {
            try (Scope s = Scope.open()) {
                return judge.eachFrame(ClipFeatures.tensor(frames).transpose(0, 1));
            }
        }

        static int inAll(ObjectJudge judge, List<Image> frames) {
            try (Scope s = Scope.open()) {
                return judge.classify(ClipFeatures.tensor(frames).transpose(0, 1));
            }
        }
    }
}
