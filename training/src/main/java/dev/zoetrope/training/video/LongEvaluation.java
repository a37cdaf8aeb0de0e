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
import dev.zoetrope.world.Ground;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What is left of a long clip's beginning at its end. Frames are judged a second at a time and then let go, so that memory
 * is the generator's own.
 */
public final class LongEvaluation {
    private static final long WORLD_SEED = 4242;
    /** After so many seconds memory has reached what it needs. */
    private static final int SETTLED = 5;

    /**
     * One long clip.
     *
     * @param asked the object of the prompt
     * @param first the object that the judge sees in the first second
     * @param last and in the last
     * @param kept share of the seconds in which it sees the one asked for
     * @param ground whether the last second has the ground of the prompt
     * @param likeness mean cosine of the judge's features in the last second to those in the first
     * @param drift distance of the ground's colour in the last frame from the first, in parts of a colour's range
     * @param seconds of computing
     * @param megabytes of memory held after the fifth second of the clip, 0 where unknown
     * @param megabytesLast and at its end
     */
    public record Result(
            String prompt,
            WorldObject asked,
            int first,
            int last,
            double kept,
            boolean ground,
            double likeness,
            double drift,
            double seconds,
            long megabytes,
            long megabytesLast) {}

    private final TextToVideo model;
    private final ObjectJudge judge;
    private final List<WorldObject> objects;
    private final VideoEvaluation.Settings settings;

    /** @param settings whose frames do not count here */
    public LongEvaluation(
            TextToVideo model, ObjectJudge judge, List<WorldObject> objects, VideoEvaluation.Settings settings) {
        this.model = model;
        this.judge = judge;
        this.objects = objects;
        this.settings = settings;
    }

    /** @param progress counts clips; false stops, within a clip too */
    public List<Result> run(double seconds, Progress progress) {
        World world = new World(
                WORLD_SEED,
                Options.training()
                        .split(Split.TEST)
                        .levels(Level.L1)
                        .objects(objects)
                        .styles(Style.SHADED)
                        .combos(Split.Side.SEEN)
                        .frames(16)
                        .canvases(new World.Canvas(settings.width(), settings.height())));
        List<Result> results = new ArrayList<>();
        for (int i = 0; i < settings.clips(); i++) {
            int number = i;
            results.add(one(
                    world.scene(i),
                    i,
                    seconds,
                    (step, of) -> progress.step(number * of + step, settings.clips() * of)));
        }
        return results;
    }

    private Result one(Scene scene, long seed, double seconds, Progress progress) {
        TextToVideo.Request plain = model.request(scene.caption())
                .withSize(settings.width(), settings.height())
                .withSteps(settings.steps())
                .withGuidanceScale(settings.guidanceScale())
                .withSeed(seed);
        TextToVideo.Request r = plain.withFrames((int) Math.max(1, Math.round(seconds * plain.fps())));
        long start = System.nanoTime();
        Second second = new Second((int) Math.round(r.fps()));
        model.generate(r, progress, second::add);
        second.end();
        WorldObject asked = scene.sprites().get(0).object();
        Ground ground = GeometryJudge.ground(new Clip(second.last, r.fps()));
        long right = second.objects.stream().filter(o -> o == asked.id()).count();
        return new Result(
                r.prompt(),
                asked,
                second.objects.get(0),
                second.objects.get(second.objects.size() - 1),
                (double) right / second.objects.size(),
                ground == scene.backdrop().ground(),
                likeness(second.first, second.last),
                Steadiness.distance(
                        Steadiness.borderMedian(second.first.get(0)),
                        Steadiness.borderMedian(second.last.get(second.last.size() - 1))),
                (System.nanoTime() - start) / 1e9,
                second.megabytes,
                residentMegabytes());
    }

    private double likeness(List<Image> a, List<Image> b) {
        try (Scope s = Scope.open()) {
            float[] first =
                    judge.features(ClipFeatures.tensor(a)).detach().mean(0).toFloats();
            float[] last =
                    judge.features(ClipFeatures.tensor(b)).detach().mean(0).toFloats();
            return Steadiness.cosine(first, last);
        }
    }

    /** Takes frames and judges each full second. */
    private final class Second {
        private final int frames;
        private final List<Integer> objects = new ArrayList<>();
        private List<Image> first = List.of();
        private List<Image> last = List.of();
        private List<Image> now = new ArrayList<>();
        private long megabytes;

        Second(int frames) {
            this.frames = Math.max(1, frames);
        }

        void add(Image frame) {
            now.add(frame);
            if (now.size() == frames) {
                end();
            }
        }

        /** A second that is cut short counts like the others. */
        void end() {
            if (now.isEmpty()) {
                return;
            }
            last = List.copyOf(now);
            first = first.isEmpty() ? last : first;
            objects.add(VideoEvaluation.Seen.inAll(judge, last));
            now = new ArrayList<>();
            if (objects.size() <= SETTLED) {
                megabytes = residentMegabytes();
            }
        }
    }

    private static long residentMegabytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(line -> line.startsWith("VmRSS:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
                    .findFirst()
                    .orElse(0);
        } catch (IOException e) {
            return 0; // not Linux
        }
    }

    /** What was measured, in Markdown. */
    public static String table(List<Result> results, double seconds) {
        int n = results.size();
        long whole = results.stream()
                .filter(r ->
                        r.first() == r.asked().id() && r.last() == r.asked().id())
                .count();
        long same = results.stream().filter(r -> r.first() == r.last()).count();
        long ground = results.stream().filter(Result::ground).count();
        StringBuilder b = new StringBuilder(String.format(
                Locale.ROOT,
                "%.3g seconds, first second against last, %d clips%n%n| measure | value |%n|---|---|%n",
                seconds,
                n));
        line(b, "same object in both", new Share((int) same, n));
        line(b, "the object asked for in both", new Share((int) whole, n));
        line(b, "share of the seconds that show it", mean(results, Result::kept));
        line(b, "the ground asked for at the end", new Share((int) ground, n));
        line(b, "likeness (cosine)", mean(results, Result::likeness));
        line(b, "ground drift", mean(results, Result::drift));
        line(b, "seconds of computing a clip", mean(results, Result::seconds));
        line(b, "memory after 5 seconds, MB", mean(results, r -> (double) r.megabytes()));
        line(b, "memory at the end, MB", mean(results, r -> (double) r.megabytesLast()));
        return b.toString();
    }

    private static Mean mean(List<Result> results, java.util.function.ToDoubleFunction<Result> of) {
        return Mean.of(results.stream().map(of::applyAsDouble).toList());
    }

    private static void line(StringBuilder b, String name, Object value) {
        b.append("| ").append(name).append(" | ").append(value).append(" |\n");
    }
}
