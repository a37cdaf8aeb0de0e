package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Ema;
import dev.zoetrope.training.Gradients;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Schedule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * What all training cases share: a few optimiser steps from a checkpoint, with every random draw given. Inputs have a
 * leading axis of steps, and with {@code accumulate} one of micro-batches; the answers are the loss, the norm of the
 * gradients and the rate of each step, and the parameters at the end.
 */
final class TrainingSteps {
    /** The inputs of one micro-batch, by name. */
    @FunctionalInterface
    interface Batch {
        Tensor get(String name);
    }

    /** The loss of a micro-batch, a number; {@code parts} takes what the loss is made of, by the name of the output. */
    @FunctionalInterface
    interface Objective {
        Tensor loss(Batch batch, Map<String, Tensor> parts);
    }

    private TrainingSteps() {}

    /** Trains everything that the model is made of, but for what the case freezes. */
    static void run(Case c, Answers answers, Weights model, Objective objective) {
        run(c, answers, model.all(), objective, () -> {});
    }

    /** @param afterStep what a recipe does to the parameters after each step */
    static void run(Case c, Answers answers, Map<String, Tensor> tensors, Objective objective, Runnable afterStep) {
        Json p = c.params();
        c.inputs(); // read here, they outlast the steps
        Map<String, Tensor> trained = trained(p, tensors);
        int steps = p.requireInt("steps");
        int micro = p.get("accumulate", 1);
        double[] norms = new double[steps];
        double[] rates = new double[steps];
        Map<String, double[]> sums = new LinkedHashMap<>();
        Function<String, double[]> ofSteps = name -> new double[steps];
        double peak = p.at("optimizer").get("lr", 1e-3);
        Schedule schedule = schedule(p.at("schedule"), peak);
        Ema ema = p.has("ema") ? new Ema(trained, Ema.Decay.constant(p.at("ema").get("decay", 0.9999))) : null;
        try (Autograd.Mode on = Autograd.on();
                Optimizer optimizer = TrainingEntries.optimizer(p.at("optimizer"), trained)) {
            for (int step = 0; step < steps; step++) {
                for (int m = 0; m < micro; m++) {
                    try (Scope s = Scope.open()) {
                        Map<String, Tensor> parts = new LinkedHashMap<>();
                        Tensor loss = objective.loss(batch(c, step, micro > 1 ? m : -1), parts);
                        parts.put("loss", loss);
                        for (Map.Entry<String, Tensor> part : parts.entrySet()) {
                            sums.computeIfAbsent(part.getKey(), ofSteps)[step] +=
                                    part.getValue().item() / micro;
                        }
                        loss.div((double) micro).backward();
                    }
                }
                norms[step] = p.has("clip_norm")
                        ? Gradients.clip(trained.values(), p.get("clip_norm", 0.0))
                        : Gradients.norm(trained.values());
                rates[step] = schedule.at(step);
                optimizer.step(rates[step]);
                optimizer.zeroGrad();
                afterStep.run();
                if (ema != null) {
                    ema.update();
                }
            }
        }
        sums.forEach(answers::put);
        answers.put("grad_norm", norms);
        answers.put("lr", rates);
        tensors.forEach((name, t) -> answers.put("final." + name, t.detach().copy()));
        if (ema != null) {
            ema.average().forEach((name, t) -> answers.put("ema." + name, t.copy()));
            ema.close();
        }
    }

    private static Schedule schedule(Json s, double rate) {
        Schedule.Shape shape = s.get("type", Schedule.Shape.CONSTANT, Schedule.Shape::of);
        return new Schedule(
                shape,
                rate,
                s.get("warmup", 0L),
                s.get("total", Long.MAX_VALUE),
                shape == Schedule.Shape.COSINE ? 0.5 : s.get("cycles", 1.0),
                s.get("power", 1.0),
                s.get("lr_end", 0.0));
    }

    private static Map<String, Tensor> trained(Json p, Map<String, Tensor> all) {
        List<String> frozen = p.get("frozen", List.of());
        List<String> trainable = new ArrayList<>(p.get("trainable", List.of()));
        if (trainable.isEmpty()) {
            trainable.add("");
        }
        Map<String, Tensor> r = new LinkedHashMap<>();
        all.forEach((name, t) -> {
            boolean trains = t.dtype().isFloating()
                    && frozen.stream().noneMatch(name::startsWith)
                    && trainable.stream().anyMatch(name::contains);
            t.requireGrad(trains);
            if (trains) {
                r.put(name, t);
            }
        });
        return r;
    }

    private static Batch batch(Case c, int step, int micro) {
        return name -> {
            Tensor t = c.input(name).select(0, step);
            return micro < 0 ? t : t.select(0, micro);
        };
    }
}
