package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.cogvideox.CogVideoXTransformer;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.dit.Sd3Transformer;
import dev.zoetrope.models.wan.WanTransformer;
import dev.zoetrope.parity.TrainingSteps.Batch;
import dev.zoetrope.schedulers.CogVideoXTable;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.diffusion.FlowLoss;
import dev.zoetrope.training.diffusion.FlowLoss.Weighting;
import dev.zoetrope.training.diffusion.HybridLoss;
import dev.zoetrope.training.diffusion.VelocityLoss;
import java.util.Map;
import java.util.function.Function;

/** Training steps of networks that denoise. */
final class DiffusionTrainingEntries {
    private DiffusionTrainingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("dit.train", DiffusionTrainingEntries::dit);
        entries.put("flow.train", DiffusionTrainingEntries::flow);
        entries.put("cogvideox.train", DiffusionTrainingEntries::cogVideoX);
    }

    private static void dit(Case c, Answers answers) {
        Json p = c.params();
        p.expect("learn_sigma", true);
        HybridLoss objective = HybridLoss.linear(p.get("timesteps", 1000), p.get("vb_weight", 0.001));
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Dit dit = new Dit(Dit.Config.of(config(c)), w);
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
        Json p = c.params();
        FlowLoss objective = new FlowLoss(p.get("weighting", Weighting.LOGIT_NORMAL, Weighting::of), 1000);
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            FlowNetwork network =
                    switch (p.require("model")) {
                        case "sd3" -> sd3(c, w);
                        case "wan" -> wan(c, w);
                        default -> throw p.unsupported("model", "sd3, wan");
                    };
            Function<Batch, Tensor> sigmas = batch -> c.inputs().containsKey("u")
                    ? FlowLoss.shifted(batch.get("u"), p.get("shift", 1.0))
                    : batch.get("sigmas");
            // What is derived and stored beside the weights does not train.
            TrainingSteps.run(
                    c,
                    answers,
                    w.named(),
                    (batch, parts) -> objective.of(
                            (x, t) -> network.forward(x, t, batch),
                            batch.get("latents"),
                            batch.get("noise"),
                            sigmas.apply(batch)),
                    () -> {});
        }
    }

    @FunctionalInterface
    private interface FlowNetwork {
        Tensor forward(Tensor noisy, Tensor timesteps, Batch conditions);
    }

    private static FlowNetwork sd3(Case c, Weights w) {
        Sd3Transformer model = new Sd3Transformer(Sd3Transformer.Config.of(config(c)), w);
        return (x, t, batch) ->
                model.forward(x, t, batch.get("encoder_hidden_states"), batch.get("pooled_projections"));
    }

    private static FlowNetwork wan(Case c, Weights w) {
        WanTransformer model = new WanTransformer(WanTransformer.Config.of(config(c)), w);
        return (x, t, batch) -> model.forward(x, t, batch.get("encoder_hidden_states"), null);
    }

    private static void cogVideoX(Case c, Answers answers) {
        VelocityLoss objective =
                new VelocityLoss(CogVideoXTable.of(c.params().at("scheduler")).alphasCumprod());
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            CogVideoXTransformer model = new CogVideoXTransformer(CogVideoXTransformer.Config.of(config(c)), w);
            TrainingSteps.run(
                    c,
                    answers,
                    w.named(),
                    (batch, parts) -> objective.of(
                            (x, t) -> model.forward(x, t, batch.get("encoder_hidden_states"), null),
                            batch.get("latents"),
                            batch.get("noise"),
                            batch.get("timesteps")),
                    () -> {});
        }
    }

    private static Json config(Case c) {
        return Json.read(c.model().resolve("config.json"));
    }
}
