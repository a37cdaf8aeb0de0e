package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.dit.Sd3Transformer;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.diffusion.FlowLoss;
import dev.zoetrope.training.diffusion.FlowLoss.Weighting;
import dev.zoetrope.training.diffusion.HybridLoss;
import java.util.Map;

/** Training steps of networks that denoise. */
final class DiffusionTrainingEntries {
    private DiffusionTrainingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("dit.train", DiffusionTrainingEntries::dit);
        entries.put("flow.train", DiffusionTrainingEntries::flow);
    }

    private static void dit(Case c, Answers answers) {
        Json p = c.params();
        p.expect("learn_sigma", true);
        HybridLoss objective = HybridLoss.linear(p.get("timesteps", 1000), p.get("vb_weight", 0.001));
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Dit dit = new Dit(Dit.Config.of(Json.read(c.model().resolve("config.json"))), w);
            TrainingSteps.run(c, answers, w, (batch, parts) -> {
                Tensor labels = batch.get("labels").maskedFill(batch.get("drop").ne(0), p.requireInt("null_class"));
                HybridLoss.Parts r = objective.of(
                        (x, t) -> dit.forward(x, t, labels),
                        batch.get("latents"),
                        batch.get("noise"),
                        batch.get("timesteps"));
                parts.put("mse", r.noise());
                parts.put("vb", r.bound());
                return r.loss();
            });
        }
    }

    private static void flow(Case c, Answers answers) {
        FlowLoss objective = new FlowLoss(c.params().get("weighting", Weighting.LOGIT_NORMAL, Weighting::of), 1000);
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Json config = Json.read(c.model().resolve("config.json"));
            switch (c.params().require("model")) {
                case "sd3" -> {
                    Sd3Transformer model = new Sd3Transformer(Sd3Transformer.Config.of(config), w);
                    TrainingSteps.run(
                            c,
                            answers,
                            w.named(),
                            (batch, parts) -> objective.of(
                                    (x, t) -> model.forward(
                                            x, t, batch.get("encoder_hidden_states"), batch.get("pooled_projections")),
                                    batch.get("latents"),
                                    batch.get("noise"),
                                    batch.get("sigmas")),
                            () -> {});
                }
                default -> throw c.params().unsupported("model", "sd3");
            }
        }
    }
}
