package dev.zoetrope.training.sora;

import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.world.GeometryJudge;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * Measures a text-to-video model on captions of Carousel that training never used. Two judges that share nothing with the
 * model look at each clip: a classifier names the object, and geometry reads motion and ground from the pixels. The same
 * judges on true renders give the ceiling.
 */
public final class SoraEvaluation {
    /** Another world than that of training. */
    private static final long WORLD_SEED = 4242;

    private static final int AT_ONCE = 8;

    /**
     * Clips of one kind, judged.
     *
     * @param name of the kind
     * @param clips how many
     * @param object how many show the object
     * @param motion how many move as said
     * @param ground how many have the ground
     * @param all how many are right in all three
     * @param byMotion right and all clips for each motion
     */
    public record Result(
            String name, int clips, int object, int motion, int ground, int all, Map<Motion, int[]> byMotion) {}

    /**
     * @param clips a row of the table
     * @param steps of the solver
     * @param guidanceScale how much the caption counts
     */
    public record Settings(int clips, int steps, double guidanceScale) {}

    private final Sora sora;
    private final ObjectJudge judge;
    private final List<WorldObject> objects;
    private final Settings settings;

    public SoraEvaluation(Sora sora, ObjectJudge judge, List<WorldObject> objects, Settings settings) {
        this.sora = sora;
        this.judge = judge;
        this.objects = objects;
        this.settings = settings;
    }

    /** All rows of the table; progress counts clips. */
    public List<Result> run(Progress progress) {
        int rows = 5;
        int of = rows * settings.clips();
        List<Result> r = new ArrayList<>();
        r.add(row("true clips (ceiling)", Split.Side.SEEN, 16, 64, 64, true, progress, 0, of));
        r.add(row("seen combinations", Split.Side.SEEN, 16, 64, 64, false, progress, 1, of));
        r.add(row("held-out combinations", Split.Side.HELD_OUT, 16, 64, 64, false, progress, 2, of));
        r.add(row("80x48, never trained", Split.Side.SEEN, 16, 80, 48, false, progress, 3, of));
        r.add(row("12 frames, never trained", Split.Side.SEEN, 12, 64, 64, false, progress, 4, of));
        return r;
    }

    /** Only the row of seen combinations; progress counts clips. */
    public Result seen(Progress progress) {
        return row("seen combinations", Split.Side.SEEN, 16, 64, 64, false, progress, 0, settings.clips());
    }

    /** Only the row of combinations that training never shows; progress counts clips. */
    public Result heldOut(Progress progress) {
        return row("held-out combinations", Split.Side.HELD_OUT, 16, 64, 64, false, progress, 0, settings.clips());
    }

    /**
     * The same scenes, asked for in other words.
     *
     * @param words for a scene and its number
     * @param before clips that progress has counted already
     * @param of clips in all
     */
    public Result seen(String name, BiFunction<Scene, Integer, String> words, Progress progress, int before, int of) {
        return judged(name, world(Split.Side.SEEN, 16, 64, 64), words, progress, before, of);
    }

    private Result row(
            String name,
            Split.Side combos,
            int frames,
            int width,
            int height,
            boolean truth,
            Progress progress,
            int row,
            int of) {
        @Nullable BiFunction<Scene, Integer, String> words = truth ? null : (scene, number) -> scene.caption();
        return judged(name, world(combos, frames, width, height), words, progress, row * settings.clips(), of);
    }

    private World world(Split.Side combos, int frames, int width, int height) {
        return new World(
                WORLD_SEED,
                Options.training()
                        .split(Split.TEST)
                        .levels(Level.L1)
                        .objects(objects)
                        .styles(Style.SHADED)
                        .combos(combos)
                        .frames(frames)
                        .canvases(new World.Canvas(width, height)));
    }

    /** @param words null for true renders */
    private Result judged(
            String name,
            World world,
            @Nullable BiFunction<Scene, Integer, String> words,
            Progress progress,
            int before,
            int of) {
        int object = 0;
        int motion = 0;
        int ground = 0;
        int all = 0;
        Map<Motion, int[]> byMotion = new EnumMap<>(Motion.class);
        for (int from = 0; from < settings.clips(); from += AT_ONCE) {
            List<Scene> scenes = new ArrayList<>();
            for (int i = from; i < Math.min(settings.clips(), from + AT_ONCE); i++) {
                scenes.add(world.scene(i));
            }
            try (var off = Autograd.off();
                    Scope s = Scope.open()) {
                Tensor video = words == null ? LatentPool.video(scenes) : generate(scenes, words, from);
                for (int i = 0; i < scenes.size(); i++) {
                    Scene.Sprite sprite = scenes.get(i).sprites().get(0);
                    Tensor clip = video.select(0, i); // [3, T, H, W]
                    GeometryJudge.Verdict v =
                            GeometryJudge.judge(VideoTensors.toClip(clip, 8), sprite.object(), sprite.style());
                    boolean isObject = judge.classify(clip) == sprite.object().id();
                    boolean isMotion = v.motion() == sprite.motion();
                    boolean isGround = v.ground() == scenes.get(i).backdrop().ground();
                    object += isObject ? 1 : 0;
                    motion += isMotion ? 1 : 0;
                    ground += isGround ? 1 : 0;
                    all += isObject && isMotion && isGround ? 1 : 0;
                    int[] of10 = byMotion.computeIfAbsent(sprite.motion(), m -> new int[2]);
                    of10[0] += isMotion ? 1 : 0;
                    of10[1]++;
                }
            }
            progress.step(before + Math.min(settings.clips(), from + AT_ONCE), of);
        }
        return new Result(name, settings.clips(), object, motion, ground, all, byMotion);
    }

    private Tensor generate(List<Scene> scenes, BiFunction<Scene, Integer, String> words, int from) {
        Scene first = scenes.get(0);
        long[] seeds = new long[scenes.size()];
        List<String> captions = new ArrayList<>();
        for (int i = 0; i < seeds.length; i++) {
            seeds[i] = from + i;
            captions.add(words.apply(scenes.get(i), from + i));
        }
        Sora.Sampling sampling = new Sora.Sampling(
                first.frames(), first.width(), first.height(), settings.steps(), settings.guidanceScale());
        return sora.sample(captions, Sora.none(seeds.length), seeds, sampling, (step, steps) -> true);
    }

    /** The table in Markdown, each share with its 95 % interval (Wilson). */
    public static String table(List<Result> results) {
        StringBuilder b =
                new StringBuilder("| clips | n | object | motion | ground | all three |\n|---|---|---|---|---|---|\n");
        for (Result r : results) {
            b.append(String.format(
                    Locale.ROOT,
                    "| %s | %d | %s | %s | %s | %s |%n",
                    r.name(),
                    r.clips(),
                    new Share(r.object(), r.clips()),
                    new Share(r.motion(), r.clips()),
                    new Share(r.ground(), r.clips()),
                    new Share(r.all(), r.clips())));
        }
        return b.toString();
    }
}
