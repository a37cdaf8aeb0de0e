package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.tasks.GeneratedImage;
import dev.zoetrope.tasks.ImageListener;
import dev.zoetrope.tasks.ImageRequest;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.TextToImage;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.FrechetDistance;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.GeometryJudge;
import dev.zoetrope.world.Ground;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;

/**
 * Measures a model of single pictures of Carousel. The judge that the model never saw names what is drawn; a Fréchet
 * distance in the features of that judge compares the set with true pictures, beside the distance of two sets of true
 * ones of the same number.
 */
public final class PictureEvaluation {
    /** Another world than that of training. */
    private static final long WORLD_SEED = 4242;

    private static final int AT_ONCE = 16;
    private static final int JUDGE_SIDE = 64;
    private static final double SURE = .9;

    /** What decides what a model draws. */
    public enum Condition {
        /** Nothing: ddpm. */
        NONE,
        /** A sentence: ldm. */
        CAPTION,
        /** A class: dit. */
        CLASS
    }

    /**
     * @param pictures that are made
     * @param steps of the scheduler; 0 for the model's own number
     * @param guidance negative for the model's own
     */
    public record Ask(int pictures, int steps, double guidance) {}

    private final TextToImage model;
    private final ObjectJudge judge;
    private final List<WorldObject> objects;
    private final Ask ask;
    private final Progress progress;

    /** Pictures with what the judge makes of them. */
    private final class Judged {
        final List<Tensor> features = new ArrayList<>();
        int object;
        int ground;
        int both;
        int sure;
        int seen;
    }

    private PictureEvaluation(
            TextToImage model, ObjectJudge judge, List<WorldObject> objects, Ask ask, Progress progress) {
        this.model = model;
        this.judge = judge;
        this.objects = objects;
        this.ask = ask;
        this.progress = progress;
    }

    /**
     * The table of a model in Markdown.
     *
     * @param folder of the pipeline; its model_index.json may name the classes, which then are the objects
     * @param first so many objects of the world, of models that do not name them
     */
    public static String table(
            Path folder, Condition condition, int first, ObjectJudge judge, Ask ask, Progress progress) {
        List<WorldObject> objects = objects(folder, first);
        try (TextToImage model = TextToImage.load(folder);
                Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            return new PictureEvaluation(model, judge, objects, ask, progress).run(condition);
        }
    }

    private static List<WorldObject> objects(Path folder, int first) {
        Json names = Json.read(folder.resolve("model_index.json")).at("id2label");
        List<String> all = names.keys().stream()
                .sorted(Comparator.comparingInt(Integer::parseInt))
                .map(names::require)
                .toList();
        return all.isEmpty() ? WorldObjects.first(first) : WorldObjects.named(all);
    }

    private String run(Condition condition) {
        int n = ask.pictures();
        Judged made = new Judged();
        int side = 0;
        for (int i = 0; i < n; i += AT_ONCE) {
            int count = Math.min(AT_ONCE, n - i);
            // One class a batch: a model of classes draws it at once.
            List<WorldObject> drawn =
                    condition == Condition.CLASS ? List.of(objects.get(i / AT_ONCE % objects.size())) : objects;
            List<Scene> scenes = scenes(world(drawn, JUDGE_SIDE), i, count);
            List<Image> pictures =
                    switch (condition) {
                        case NONE -> several(request("", i), count);
                        case CLASS ->
                            several(request("", i).withLabel(drawn.get(0).name()), count);
                        case CAPTION -> said(scenes, i);
                    };
            side = pictures.get(0).width();
            judge(made, pictures, scenes);
            if (!progress.step(Math.min(n, i + AT_ONCE), n)) {
                throw new CancellationException("stopped after " + (i + AT_ONCE) + " of " + n + " pictures");
            }
        }
        Judged truth = rendered(0, side);
        Judged others = rendered(n, side);
        StringBuilder b = new StringBuilder();
        b.append(
                "| pictures | n | object | ground | object and ground | judge sure (> 0.9) | Frechet distance to true |\n");
        b.append("|---|---|---|---|---|---|---|\n");
        FrechetDistance.Normal reference = normal(truth);
        row(b, "true", others, FrechetDistance.between(reference, normal(others)), Condition.CAPTION);
        row(b, "made", made, FrechetDistance.between(reference, normal(made)), condition);
        return b.toString();
    }

    private static FrechetDistance.Normal normal(Judged j) {
        return FrechetDistance.Normal.of(Tensor.cat(0, j.features));
    }

    private static void row(StringBuilder b, String name, Judged j, double distance, Condition asked) {
        b.append(String.format(
                Locale.ROOT,
                "| %s | %d | %s | %s | %s | %s | %.2f |%n",
                name,
                j.seen,
                asked == Condition.NONE ? "-" : new Share(j.object, j.seen),
                asked == Condition.CAPTION ? new Share(j.ground, j.seen) : "-",
                asked == Condition.CAPTION ? new Share(j.both, j.seen) : "-",
                new Share(j.sure, j.seen),
                distance));
    }

    /** Scenes of the test split, upright and centred. */
    private static World world(List<WorldObject> objects, int side) {
        return new World(
                WORLD_SEED,
                Options.training()
                        .split(Split.TEST)
                        .objects(objects)
                        .styles(Style.SHADED)
                        .frames(1)
                        .poses(Options.Poses.CENTRED)
                        .canvases(new World.Canvas(side, side)));
    }

    private static List<Scene> scenes(World world, int from, int count) {
        return IntStream.range(from, from + count).mapToObj(world::scene).toList();
    }

    private Judged rendered(int from, int side) {
        Judged r = new Judged();
        World world = world(objects, side);
        for (int i = 0; i < ask.pictures(); i += AT_ONCE) {
            List<Scene> scenes = scenes(world, from + i, Math.min(AT_ONCE, ask.pictures() - i));
            judge(r, scenes.stream().map(s -> s.render().frames().get(0)).toList(), scenes);
        }
        return r;
    }

    private List<Image> said(List<Scene> scenes, int from) {
        List<Image> r = new ArrayList<>();
        for (int i = 0; i < scenes.size(); i++) {
            r.addAll(several(request(scenes.get(i).caption(Caption.Length.FULL, 0), from + i), 1));
        }
        return r;
    }

    private ImageRequest request(String prompt, int seed) {
        ImageRequest d = model.defaults(prompt);
        Settings s = d.settings();
        s = ask.steps() == 0 ? s : s.withSteps(ask.steps());
        s = ask.guidance() < 0 ? s : s.withGuidance(ask.guidance(), 0);
        return d.with(s).withSeed(seed);
    }

    private List<Image> several(ImageRequest r, int count) {
        return model.generate(r.with(r.settings().withCount(count)), ImageListener.NONE).stream()
                .map(GeneratedImage::image)
                .toList();
    }

    private void judge(Judged j, List<Image> pictures, List<Scene> scenes) {
        try (Scope s = Scope.open()) {
            Tensor features = judge.features(Tensor.cat(
                    0,
                    pictures.stream()
                            .map(p -> Pixels.of(p, JUDGE_SIDE, JUDGE_SIDE, Filter.BILINEAR))
                            .toList()));
            Tensor shares = judge.logits(features).softmax(-1); // [B, objects]
            long[] named = shares.argmax(-1).toLongs();
            float[] best = shares.amax(false, -1).toFloats();
            for (int i = 0; i < named.length; i++) {
                boolean object =
                        named[i] == scenes.get(i).sprites().get(0).object().id();
                Ground seen = GeometryJudge.ground(new Clip(List.of(pictures.get(i)), 1));
                boolean ground = seen == scenes.get(i).backdrop().ground();
                j.object += object ? 1 : 0;
                j.ground += ground ? 1 : 0;
                j.both += object && ground ? 1 : 0;
                j.sure += best[i] > SURE ? 1 : 0;
                j.seen++;
            }
            j.features.add(s.keep(features));
        }
    }
}
