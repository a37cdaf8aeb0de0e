package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Ground;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Teaches the caption encoder what captions say, before there is any picture: from its first three pooled vectors, small
 * heads tell the object, the motion and the ground. A few seconds of this make the transformer use the words from its
 * first steps; without it the motion word stays unread for hours. The heads are thrown away.
 */
final class TextStage implements Trainer.Objective {
    private static final long NOT_SAID = -100;

    private final Sora sora;
    private final SoraData data;
    private final List<World> worlds;
    private final int batch;
    private final List<Linear> heads;

    TextStage(Sora sora, SoraData data, Weights heads, Json j) {
        this.sora = sora;
        this.data = data;
        this.worlds = data.buckets().stream().map(data::world).toList();
        this.batch = j.get("batch", 32);
        CaptionEncoder.Config c = sora.captionEncoder().config();
        dev.zoetrope.checkpoint.Check.atMost(c.queries(), 3, "queries", "heads");
        this.heads = List.of(
                new Linear(heads.at("object"), c.width(), data.objects().size()),
                new Linear(heads.at("motion"), c.width(), Motion.values().length),
                new Linear(heads.at("ground"), c.width(), Ground.values().length));
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        World world = worlds.get(data.bucketOf(share.step()));
        List<String> captions = new ArrayList<>();
        long[][] facts = new long[3][batch];
        Random wording = new Random(share.number());
        for (int i = 0; i < batch; i++) {
            Scene scene = world.scene(share.number() * batch + i);
            Scene.Sprite sprite = scene.sprites().get(0);
            boolean shortened = wording.nextDouble() < .1;
            Caption.Length length = shortened ? Caption.Length.SHORT : Caption.Length.FULL;
            captions.add(SoraData.caption(scene, length, share.step(), wording));
            facts[0][i] = data.objects().indexOf(sprite.object());
            facts[1][i] = scene.frames() == 1 ? NOT_SAID : sprite.motion().ordinal();
            facts[2][i] = shortened ? NOT_SAID : scene.backdrop().ground().ordinal();
        }
        Tensor pooled = sora.captionEncoder().encode(sora.tokens(captions)).pooled(); // [B, Q, D]
        Tensor loss = Tensor.scalarOf(0);
        for (int k = 0; k < heads.size(); k++) {
            boolean said = java.util.Arrays.stream(facts[k]).anyMatch(f -> f != NOT_SAID);
            if (said) {
                Tensor logits = heads.get(k).forward(pooled.select(1, k));
                Tensor l = Functional.crossEntropy(logits, Tensor.of(facts[k], batch), NOT_SAID, 0);
                metrics.add(List.of("object", "motion", "ground").get(k), l.item());
                loss = loss.add(l);
            }
        }
        return loss;
    }
}
