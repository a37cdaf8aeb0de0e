package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.clip.Clip;
import dev.zoetrope.models.siglip.Siglip;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Contrastive;
import dev.zoetrope.training.Mixup;
import java.util.Map;

/** Training of models that look at pictures. */
final class SeeingTrainingEntries {
    private SeeingTrainingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("vit.train", SeeingTrainingEntries::vit);
        entries.put("clip.train", SeeingTrainingEntries::clip);
        entries.put("siglip.train", SeeingTrainingEntries::siglip);
    }

    private static Json config(Case c) {
        return Json.read(c.model().resolve("config.json"));
    }

    private static void vit(Case c, Answers answers) {
        double smoothing = c.params().get("label_smoothing", 0.0);
        boolean mixes = c.optionalInput("mix") != null;
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Vit vit = new Vit(Vit.Config.of(config(c)), w);
            TrainingSteps.run(c, answers, w, (batch, parts) -> {
                Tensor pixels = batch.get("pixel_values");
                Tensor labels = batch.get("labels");
                if (mixes) {
                    Mixup mixup = new Mixup(batch.get("mix").item(), batch.get("partner"));
                    return mixup.loss(vit.forward(mixup.of(pixels)), labels, smoothing);
                }
                return Functional.crossEntropy(vit.forward(pixels), labels, -100, smoothing);
            });
        }
    }

    private static void clip(Case c, Answers answers) {
        double max = c.params().get("logit_scale_max", 100.0);
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Clip clip = new Clip(Clip.Config.of(config(c)), w);
            TrainingSteps.run(
                    c,
                    answers,
                    w.all(),
                    (batch, parts) -> {
                        Tensor images = clip.images(batch.get("pixel_values"));
                        Tensor texts = clip.texts(batch.get("input_ids"), null);
                        parts.put("logit_scale", clip.logitScale().detach().exp());
                        return Contrastive.softmax(clip.logits(images, texts));
                    },
                    () -> Contrastive.clampScale(clip.logitScale(), max));
        }
    }

    private static void siglip(Case c, Answers answers) {
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Siglip siglip = new Siglip(Siglip.Config.of(config(c)), w);
            TrainingSteps.run(c, answers, w, (batch, parts) -> {
                Tensor images = siglip.images(batch.get("pixel_values"));
                Tensor texts = siglip.texts(batch.get("input_ids"));
                parts.put("logit_scale", siglip.logitScale().detach().exp());
                parts.put("logit_bias", siglip.logitBias().detach());
                return Contrastive.sigmoid(siglip.logits(images, texts));
            });
        }
    }
}
