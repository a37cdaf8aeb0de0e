package dev.zoetrope.training.videopoet;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.models.videopoet.Canvas;
import dev.zoetrope.models.videopoet.Task;
import dev.zoetrope.models.videopoet.VideoPoet;
import dev.zoetrope.tensor.Autocast;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.sora.Bucket;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.training.sora.SoraData;
import dev.zoetrope.world.Scene;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * Trains the language model over tokens: a mix of tasks, one a step, so that all rows of a batch are equally long. At first
 * pictures for the most part, from which objects are learnt cheaply, then clips (arXiv:2312.14125).
 */
final class TokenStage implements Trainer.Objective, AutoCloseable {
    private static final double MOSTLY = .9;

    private final VideoPoet poet;
    private final Canvas canvas;
    private final LatentPool clips;
    private final LatentPool pictures;
    private final Map<Task, Double> mix = new EnumMap<>(Task.class);
    private final long pictureSteps;
    private volatile int shares = 1;
    private final double dropped;
    private final double audioWeight;
    private final long seed;
    private long counted;
    private long ofPictures;

    TokenStage(VideoPoet poet, SoraData data, Json j, long seed) {
        this.poet = poet;
        this.seed = seed;
        canvas = poet.canvas();
        dropped = j.get("caption_dropout", .1);
        audioWeight = j.get("audio_weight", .5);
        pictureSteps = Math.round(j.get("pictures_first", .25) * j.requireInt("steps"));
        for (Task task : Task.values()) {
            mix.put(task, j.at("mix").get(task.name().toLowerCase(Locale.ROOT), task == Task.VIDEO ? 1. : 0.));
        }
        List<Bucket> buckets = data.buckets();
        if (buckets.size() != 2 || buckets.get(1).frames() != 1) {
            throw new UserError("videopoet: buckets: one of clips and one of pictures (frames: 1) are needed");
        }
        int size = j.get("pool", 1024);
        int uses = j.get("uses", 6);
        clips = LatentPool.ofScenes(data.world(buckets.get(0)), buckets.get(0), this::clipTokens, size, uses);
        pictures = LatentPool.ofScenes(data.world(buckets.get(1)), buckets.get(1), this::pictureTokens, size, uses);
    }

    /** Tokens of the clip, of the clip with frames left out, and of the sound, side by side; {@code [B, n]} INT64. */
    private Tensor clipTokens(List<Scene> scenes, Tensor video) {
        Tensor sound = SoundStage.sounds(scenes, poet.sound().config());
        try (Autocast full = Autocast.off()) { // as tokens are made outside of training
            return Tensor.cat(
                    1,
                    poet.vision().encode(video).flatten(1),
                    poet.vision()
                            .encode(video.mul(known(scenes, (int) video.size(2))))
                            .flatten(1),
                    poet.sound().encode(sound).flatten(1));
        }
    }

    /** Which frames are given, {@code [B, 1, T, 1, 1]} of 0 and 1: both ends, the beginning, or the end. */
    private Tensor known(List<Scene> scenes, int frames) {
        float[] f = new float[scenes.size() * frames];
        int plane = poet.vision().config().timeFactor();
        for (int i = 0; i < scenes.size(); i++) {
            int kind = (int) (scenes.get(i).number() % 3);
            for (int t = 0; t < frames; t++) {
                boolean begins = t <= frames - 1 - plane;
                boolean ends = t > frames - 1 - plane;
                boolean given = kind == 0 ? t == 0 || t == frames - 1 : kind == 1 ? begins : ends;
                f[i * frames + t] = given ? 1 : 0;
            }
        }
        return Tensor.of(f, scenes.size(), 1, frames, 1, 1);
    }

    private Tensor pictureTokens(List<Scene> scenes, Tensor video) {
        try (Autocast full = Autocast.off()) {
            return poet.vision().encode(video).flatten(1);
        }
    }

    /** The task of a step, from its number alone. */
    private Task task(long step) {
        Random random = new Random(step * 0x9E3779B97F4A7C15L + seed);
        double u = random.nextDouble();
        if (step < pictureSteps && u < MOSTLY) {
            return Task.IMAGE;
        }
        double sum = mix.values().stream().mapToDouble(v -> v).sum();
        u = random.nextDouble() * sum;
        for (Map.Entry<Task, Double> e : mix.entrySet()) {
            u -= e.getValue();
            if (u < 0) {
                return e.getKey();
            }
        }
        return Task.VIDEO;
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        shares = share.of();
        Task task = task(share.step());
        LatentPool pool = task == Task.IMAGE ? pictures : clips;
        LatentPool.Batch batch = pool.batch(before(task == Task.IMAGE, share.step()) * share.of() + share.index());
        List<String> captions = SoraData.captions(batch.scenes(), batch.pass(), dropped, new Random(share.number()));
        VideoPoet.Losses l = losses(task, batch, captions);
        Tensor loss = Tensor.scalarOf(0);
        if (l.video() != null) {
            metrics.add(task == Task.IMAGE ? "picture" : "video", l.video().item());
            loss = loss.add(l.video());
        }
        if (l.audio() != null) {
            metrics.add("audio", l.audio().item());
            loss = loss.add(l.audio().mul(audioWeight));
        }
        return loss;
    }

    private VideoPoet.Losses losses(Task task, LatentPool.Batch batch, List<String> captions) {
        Canvas c = task == Task.IMAGE ? canvas.picture() : canvas;
        long n = (long) c.visual() * poet.vision().config().codebooks();
        Tensor all = batch.latents();
        Tensor video = codes(all.narrow(1, 0, n), c);
        int codebooks = poet.sound().config().codebooks();
        Tensor audio = task == Task.IMAGE
                ? Tensor.of(new long[0], all.size(0), codebooks, 0)
                : all.narrow(1, 2 * n, all.size(1) - 2 * n).unflatten(1, codebooks, -1);
        CaptionEncoder.Encoded caption = task == Task.SOUND ? null : poet.encode(captions);
        Tensor given = task == Task.SOUND ? video : task == Task.COMPLETE ? codes(all.narrow(1, n, n), c) : null;
        return poet.losses(task, caption, given, video, audio);
    }

    private Tensor codes(Tensor flat, Canvas c) {
        return flat.unflatten(1, c.planes(), c.rows(), c.columns(), -1);
    }

    /** How many steps before this one used the same pool. */
    private synchronized long before(boolean picture, long step) {
        if (step < counted) {
            counted = 0;
            ofPictures = 0;
        }
        while (counted < step) {
            ofPictures += task(counted++) == Task.IMAGE ? 1 : 0;
        }
        return picture ? ofPictures : counted - ofPictures;
    }

    /** The loss with the right caption, none, and another clip's: whether the words are used. */
    Map<String, Double> probe() {
        Map<String, Double> r = new LinkedHashMap<>();
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            LatentPool.Batch batch = clips.batch(before(false, counted) * shares);
            List<String> right = SoraData.captions(batch.scenes(), 0, 0, new Random(5));
            List<String> wrong = new ArrayList<>(right);
            Collections.rotate(wrong, 1);
            r.put("video_right", losses(Task.VIDEO, batch, right).video().item());
            r.put(
                    "video_none",
                    losses(Task.VIDEO, batch, Sora.none(right.size())).video().item());
            r.put("video_wrong", losses(Task.VIDEO, batch, wrong).video().item());
        }
        return r;
    }

    @Override
    public void close() {
        clips.close();
        pictures.close();
    }
}
