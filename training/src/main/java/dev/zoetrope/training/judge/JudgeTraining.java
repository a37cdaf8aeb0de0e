package dev.zoetrope.training.judge;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObjects;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Trains the judge of objects on rendered frames with noise and blur, from a world of another seed than any generator's. */
public final class JudgeTraining {
    private static final long WORLD_SEED = 77;

    private final World world;
    private final ObjectJudge judge;
    private final int batch;

    private JudgeTraining(ObjectJudge judge, int batch) {
        this.judge = judge;
        this.batch = batch;
        // All combinations: the judge must know what the generator never saw.
        this.world = new World(
                WORLD_SEED,
                Options.training()
                        .levels(Level.L1)
                        .combos(Split.Side.ANY)
                        .pairs(Split.Side.ANY)
                        .frames(1));
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json j = recipe.settings().at("judge");
        int objects = WorldObjects.all().size();
        try (RandomSource random = RandomSource.of(j.get("seed", 0L));
                Weights weights = Weights.draw(random)) {
            ObjectJudge judge = new ObjectJudge(weights, objects);
            JudgeTraining t = new JudgeTraining(judge, j.get("batch", 64));
            boolean done = new Trainer(
                            "judge", Trainer.Settings.of(j), weights.named(), List.of(), t::loss, folder, listener)
                    .run((step, board) -> {});
            if (done) {
                Path model = folder.file("model");
                String config = "{\"objects\": " + objects + "}\n";
                AtomicFile.write(
                        model.resolve("config.json"), out -> out.write(config.getBytes(StandardCharsets.UTF_8)));
                try (Scope s = Scope.open()) {
                    Map<String, Tensor> halves = new LinkedHashMap<>();
                    weights.all()
                            .forEach((name, w) -> halves.put(name, w.detach().to(DType.FLOAT16)));
                    Safetensors.write(model.resolve("model.safetensors"), halves, Map.of("format", "pt"));
                }
                listener.message("the judge is in " + model);
            }
            return done;
        }
    }

    private Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        byte[] frames = null;
        long[] objects = new long[batch];
        int size = 0;
        for (int i = 0; i < batch; i++) {
            Scene scene = world.scene(share.number() * batch + i);
            size = scene.bytes();
            if (frames == null) {
                frames = new byte[batch * size];
            }
            byte[] one = new byte[size];
            scene.render(one);
            System.arraycopy(one, 0, frames, i * size, size);
            objects[i] = scene.sprites().get(0).object().id();
        }
        Tensor x = VideoTensors.fromBytes(frames, batch, 1, 64, 64).squeeze(2); // [B, 3, H, W]
        if (random.chance(.5)) {
            x = Functional.avgPool2d(x, 3, 1, 1); // a little out of focus, as generated pictures are
        }
        x = x.add(random.normal(x.shape()).mul(random.nextDouble() * .2));
        Tensor logits = judge.forward(x);
        Tensor target = Tensor.of(objects, batch);
        metrics.add(
                "accuracy",
                logits.detach().argmax(-1).eq(target).to(DType.FLOAT32).mean().item());
        return Functional.crossEntropy(logits, target, -100, .05);
    }
}
