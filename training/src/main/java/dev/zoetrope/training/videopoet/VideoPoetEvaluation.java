package dev.zoetrope.training.videopoet;

import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Clip;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.videopoet.Task;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tasks.VideoTokenizer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Interpolation;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.world.GeometryJudge;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Sound;
import dev.zoetrope.world.SoundJudge;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.Timbre;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Measures a VideoPoet on captions of Carousel that training never used. The frames are judged as those of the text-to-video
 * model are, enlarged to what the judges know; the sound by its timbre and onsets, and by its pitch against the height at
 * which the frames show the object. The same on true clips, and on their tokens decoded again, gives the ceilings.
 */
public final class VideoPoetEvaluation {
    private static final long WORLD_SEED = 4242;
    private static final int AT_ONCE = 8;
    private static final int JUDGED = 64; // pixels of a side
    private static final double SAME_ONSET = .05; // seconds
    private static final double SAME_PITCH = 1; // semitones

    /** What is judged. */
    private enum Kind {
        TRUE("true clips (ceiling)", Split.Side.SEEN),
        TOKENS("their tokens, decoded", Split.Side.SEEN),
        SEEN("text to clip, seen combinations", Split.Side.SEEN),
        HELD_OUT("text to clip, held-out combinations", Split.Side.HELD_OUT),
        IMAGE("first frame and text to clip", Split.Side.SEEN),
        SOUND("clip to sound", Split.Side.SEEN);

        private final String label;
        private final Split.Side combos;

        Kind(String label, Split.Side combos) {
            this.label = label;
            this.combos = combos;
        }
    }

    /**
     * Clips of one kind, judged.
     *
     * @param object how many show the object; likewise motion, ground and all three
     * @param pitchError median over the clips, in semitones, of the sound against the frames
     * @param together in how many that is at most a semitone
     * @param onsetF1 mean
     * @param timbre how many sound like the object's group
     */
    public record Result(
            String name,
            int clips,
            int object,
            int motion,
            int ground,
            int all,
            double pitchError,
            int together,
            double onsetF1,
            int timbre) {}

    private final VideoPoet poet;
    private final ObjectJudge judge;
    private final List<WorldObject> objects;
    private final int clips;
    private final double guidance;

    /** @param clips a row of the table */
    public VideoPoetEvaluation(
            VideoPoet poet, ObjectJudge judge, List<WorldObject> objects, int clips, double guidance) {
        this.poet = poet;
        this.judge = judge;
        this.objects = objects;
        this.clips = clips;
        this.guidance = guidance;
    }

    /** Rows of the table. */
    public int rows() {
        return Kind.values().length;
    }

    /** All rows of the table; progress counts clips. */
    public List<Result> run(Progress progress) {
        List<Result> r = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            r.add(row(kind, progress));
        }
        return r;
    }

    private World world(Split.Side combos, List<WorldObject> shown) {
        VideoPoet.Format f = poet.format();
        return new World(
                WORLD_SEED,
                Options.training()
                        .split(Split.TEST)
                        .levels(Level.L1)
                        .objects(shown)
                        .styles(Style.SHADED)
                        .combos(combos)
                        .fps(f.fps())
                        .frames(f.frames())
                        .canvases(new World.Canvas(f.width(), f.height())));
    }

    private Result row(Kind kind, Progress progress) {
        World world = world(kind.combos, objects);
        int[] right = new int[6]; // object, motion, ground, all, together, timbre
        double[] errors = new double[clips];
        double onsets = 0;
        for (int from = 0; from < clips; from += AT_ONCE) {
            List<Scene> scenes = new ArrayList<>();
            for (int i = from; i < Math.min(clips, from + AT_ONCE); i++) {
                scenes.add(world.scene(i));
            }
            try (var off = Autograd.off();
                    Scope s = Scope.open()) {
                Made made = make(kind, scenes, from);
                for (int i = 0; i < scenes.size(); i++) {
                    Scene scene = scenes.get(i);
                    Scene.Sprite sprite = scene.sprites().get(0);
                    Tensor clip = enlarged(made.video.select(0, i)); // [3, T, 64, 64]
                    Clip frames = VideoTensors.toClip(clip, scene.fps());
                    GeometryJudge.Verdict v = GeometryJudge.judge(frames, sprite.object(), sprite.style());
                    boolean object = judge.classify(clip) == sprite.object().id();
                    boolean motion = v.motion() == sprite.motion();
                    boolean ground = v.ground() == scene.backdrop().ground();
                    Audio audio = Audio.mono(
                            made.sound.select(0, i).toFloats(),
                            poet.sound().config().rate());
                    SoundJudge.Verdict heard = SoundJudge.judge(audio);
                    double error = pitchError(heard, heights(clip), scene.fps());
                    errors[from + i] = error;
                    onsets += heard.onsetF1(Sound.onsets(scene, sprite), audio.seconds(), SAME_ONSET);
                    boolean[] all = {
                        object,
                        motion,
                        ground,
                        object && motion && ground,
                        error <= SAME_PITCH,
                        heard.timbre() == Timbre.of(sprite.object())
                    };
                    for (int k = 0; k < all.length; k++) {
                        right[k] += all[k] ? 1 : 0;
                    }
                }
            }
            progress.step(kind.ordinal() * clips + Math.min(clips, from + AT_ONCE), Kind.values().length * clips);
        }
        Arrays.sort(errors);
        return new Result(
                kind.label,
                clips,
                right[0],
                right[1],
                right[2],
                right[3],
                errors[clips / 2],
                right[4],
                onsets / clips,
                right[5]);
    }

    /** {@code [B, 3, T, H, W]} and {@code [B, L]}. */
    private record Made(Tensor video, Tensor sound) {}

    private Made make(Kind kind, List<Scene> scenes, int from) {
        Tensor video = LatentPool.video(scenes);
        Tensor sound = SoundStage.sounds(scenes, poet.sound().config());
        if (kind == Kind.TRUE) {
            return new Made(video, sound);
        }
        if (kind == Kind.TOKENS) {
            return new Made(
                    poet.show(poet.vision().encode(video)).narrow(2, 0, video.size(2)),
                    poet.play(poet.sound().encode(sound)));
        }
        List<String> captions = scenes.stream().map(Scene::caption).toList();
        long[] seeds = new long[scenes.size()];
        Arrays.setAll(seeds, i -> from + i);
        VideoPoet.Wish plain = VideoPoet.wish(captions, seeds);
        @Nullable Tensor given = null;
        @Nullable Tensor known = null;
        if (kind == Kind.SOUND) {
            given = poet.vision().encode(video);
        } else if (kind == Kind.IMAGE) {
            Tensor codes = poet.vision().encode(video); // [B, P, h, w, K]
            known = Tensor.cat(
                    1,
                    codes.narrow(1, 0, 1),
                    codes.narrow(1, 1, codes.size(1) - 1).mul(0L).sub(1L));
        }
        VideoPoet.Said said = poet.say(
                new VideoPoet.Wish(
                        kind == Kind.SOUND ? Task.SOUND : Task.VIDEO,
                        captions,
                        Sora.none(seeds.length),
                        seeds,
                        given,
                        known,
                        null,
                        guidance,
                        plain.videoSampling(),
                        plain.audioSampling()),
                (step, of) -> true);
        return new Made(
                kind == Kind.SOUND ? video : poet.show(said.video()).narrow(2, 0, video.size(2)),
                poet.play(said.audio()));
    }

    private static Tensor enlarged(Tensor clip) { // [3, T, H, W]
        return Functional.interpolate(clip.transpose(0, 1), JUDGED, JUDGED, Interpolation.BICUBIC, false, false)
                .clamp(-1, 1)
                .transpose(0, 1);
    }

    /** Where in each frame the object is, 0 at the top to 1: the middle of what differs from the frame's border. */
    private static double[] heights(Tensor clip) { // [3, T, H, W]
        int t = (int) clip.size(1);
        int h = (int) clip.size(2);
        int w = (int) clip.size(3);
        Tensor corners = clip.narrow(2, 0, 1).narrow(3, 0, 1);
        Tensor differs = clip.sub(corners).abs().amax(false, 0).gt(.3).to(DType.FLOAT32); // [T, H, W]
        float[] mask = differs.toFloats();
        double[] r = new double[t];
        for (int k = 0; k < t; k++) {
            double sum = 0;
            double weight = 1e-9;
            for (int y = 0; y < h; y++) {
                for (int x = 0; x < w; x++) {
                    float m = mask[(k * h + y) * w + x];
                    sum += m * (y + .5);
                    weight += m;
                }
            }
            r[k] = weight < 1 ? .5 : sum / weight / h;
        }
        return r;
    }

    /** Median distance in semitones of the pitch from the one that belongs to the height; infinite if there is none. */
    private static double pitchError(SoundJudge.Verdict heard, double[] heights, double fps) {
        List<Double> errors = new ArrayList<>();
        for (int i = 0; i < heard.pitch().size(); i++) {
            double frame = Math.min(i * SoundJudge.HOP * fps, heights.length - 1);
            int k = Math.min((int) frame, heights.length - 2);
            double y = heights[k] + (heights[k + 1] - heights[k]) * (frame - k);
            if (!heard.pitch().get(i).isNaN()) {
                errors.add(Math.abs(12 * Math.log(heard.pitch().get(i) / Sound.pitchAt(y)) / Math.log(2)));
            }
        }
        errors.sort(null);
        return errors.isEmpty() ? Double.POSITIVE_INFINITY : errors.get(errors.size() / 2);
    }

    /** PSNR in dB of clips decoded from their tokens: of these objects, and of all that were not trained on. */
    public double[] psnr(int n) {
        List<WorldObject> others = dev.zoetrope.world.WorldObjects.all().stream()
                .filter(o -> !objects.contains(o))
                .toList();
        return new double[] {psnr(n, objects), others.isEmpty() ? Double.NaN : psnr(n, others)};
    }

    private double psnr(int n, List<WorldObject> shown) {
        World world = world(Split.Side.SEEN, shown);
        double sum = 0;
        for (int i = 0; i < n; i++) {
            try (var off = Autograd.off();
                    Scope s = Scope.open()) {
                Tensor video = LatentPool.video(List.of(world.scene(i)));
                Tensor again = poet.show(poet.vision().encode(video)).narrow(2, 0, video.size(2));
                sum += VideoTokenizer.psnr(
                        VideoTensors.toClip(video.select(0, 0), 1), VideoTensors.toClip(again.select(0, 0), 1));
            }
        }
        return sum / n;
    }

    /** The table in Markdown, each share with its 95 % interval (Wilson). */
    public static String table(List<Result> results) {
        StringBuilder b = new StringBuilder("| clips | n | object | motion | ground | all three | pitch v. frames, "
                + "semitones | within one | onset F1 | timbre |\n|---|---|---|---|---|---|---|---|---|---|\n");
        for (Result r : results) {
            b.append(String.format(
                    Locale.ROOT,
                    "| %s | %d | %s | %s | %s | %s | %.2f | %s | %.2f | %s |%n",
                    r.name(),
                    r.clips(),
                    new Share(r.object(), r.clips()),
                    new Share(r.motion(), r.clips()),
                    new Share(r.ground(), r.clips()),
                    new Share(r.all(), r.clips()),
                    r.pitchError(),
                    new Share(r.together(), r.clips()),
                    r.onsetF1(),
                    new Share(r.timbre(), r.clips())));
        }
        return b.toString();
    }
}
