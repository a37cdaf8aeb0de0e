package dev.zoetrope.training.seeing;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Mixup;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Trains a ViT to name the objects of the built-in world. The recipe's {@code model} is the model's config.json; the
 * classes are the world's objects. The finished model is written to {@code model/} in the run folder, in the form that
 * {@code Vit.load} and transformers open.
 */
public final class VitTraining {
    private final Vit vit;
    private final WorldPictures pictures;
    private final World world;
    private final int batch;
    private final double smoothing;
    private final double mixup;

    private VitTraining(Vit vit, WorldPictures pictures, Json j) {
        this.vit = vit;
        this.pictures = pictures;
        this.world = pictures.training();
        this.batch = j.get("batch", 64);
        this.smoothing = j.get("label_smoothing", 0.1);
        this.mixup = j.get("mixup", 0.0);
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json settings = recipe.settings();
        Json j = settings.requireAt("training");
        WorldPictures pictures = WorldPictures.of(
                settings.at("world"), settings.requireAt("model").get("image_size", 64));
        Map<String, Object> config = config(settings, pictures);
        Vit.Config c = Vit.Config.of(Json.of("model", config));
        try (RandomSource random = RandomSource.of(settings.get("seed", 0L));
                Weights weights = Weights.draw(random)) {
            VitTraining t = new VitTraining(new Vit(c, weights), pictures, j);
            boolean done = new Trainer(
                            "vit",
                            Trainer.Settings.of(j),
                            weights.named(),
                            List.of(Optimizer.Group.noDecay("bias$", "norm", "cls_token", "position_embeddings")),
                            t::loss,
                            folder,
                            listener)
                    .run((step, board) -> {});
            if (done) {
                Path model = folder.file("model");
                Exported.write(model, config, weights);
                Exported.processor(model, "ViTImageProcessor", c.imageHeight());
                listener.message("the model is in " + model);
            }
            return done;
        }
    }

    private static Map<String, Object> config(Json settings, WorldPictures pictures) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", "vit");
        config.put("architectures", List.of("ViTForImageClassification"));
        Json model = settings.requireAt("model");
        model.keys().forEach(key -> config.put(key, model.value(key)));
        Map<String, Object> names = new LinkedHashMap<>();
        pictures.objects().forEach(o -> names.put(String.valueOf(names.size()), o.name()));
        config.put("id2label", names);
        return config;
    }

    private Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        List<Scene> scenes = WorldPictures.scenes(world, share.number() * batch, batch);
        Tensor pixels = pictures.pixels(scenes); // [B, 3, H, W]
        Tensor labels = pictures.labels(scenes); // [B]
        if (mixup > 0) {
            Mixup mixed = Mixup.draw(mixup, batch, random);
            return mixed.loss(vit.forward(mixed.of(pixels)), labels, smoothing);
        }
        Tensor logits = vit.forward(pixels); // [B, objects]
        metrics.add("accuracy", logits.argmax(-1).eq(labels).sum().item() / batch);
        return Functional.crossEntropy(logits, labels, -100, smoothing);
    }
}
