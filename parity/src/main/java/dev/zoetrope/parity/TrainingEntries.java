package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Ema;
import dev.zoetrope.training.Ema.Decay;
import dev.zoetrope.training.Ema.Decay.Growth;
import dev.zoetrope.training.Gradients;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Schedule;
import dev.zoetrope.training.Trainable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The parts of a training loop: optimisers, clipping, schedules, averages, freezing. */
final class TrainingEntries {
    private TrainingEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("train.optimizer", TrainingEntries::optimizer);
        entries.put("train.clip", TrainingEntries::clip);
        entries.put("train.schedule", TrainingEntries::schedule);
        entries.put("train.ema", TrainingEntries::ema);
        entries.put("train.trainable", TrainingEntries::trainable);
    }

    private static void optimizer(Case c, Answers answers) {
        try (Checkpoint file = Checkpoint.open(c.model());
                Weights w = Weights.load(file)) {
            Map<String, Tensor> parameters = new LinkedHashMap<>();
            Map<String, List<Tensor>> after = new LinkedHashMap<>();
            for (String name : file.keys()) {
                parameters.put(name, w.tensor(name, file.shape(name)).requireGrad(true));
                after.put(name, new ArrayList<>());
            }
            try (Optimizer o = optimizer(c.params().at("optimizer"), parameters)) {
                long steps = c.inputs().values().iterator().next().size(0);
                for (long step = 0; step < steps; step++) {
                    for (Map.Entry<String, Tensor> p : parameters.entrySet()) {
                        p.getValue().backward(c.input("grad." + p.getKey()).select(0, step));
                    }
                    if (c.params().has("clip_norm")) {
                        Gradients.clip(parameters.values(), c.params().get("clip_norm", 0.0));
                    }
                    o.step();
                    o.zeroGrad();
                    parameters.forEach(
                            (name, t) -> after.get(name).add(t.detach().copy()));
                }
            }
            after.forEach((name, t) -> answers.put(name, Tensor.stack(0, t)));
        }
    }

    /** The optimiser that a case's parameters describe. */
    static Optimizer optimizer(Json o, Map<String, Tensor> parameters) {
        double rate = o.get("lr", 1e-3);
        double decay = o.get("weight_decay", 0.0);
        double[] betas = o.get("betas", new double[] {0.9, 0.999});
        double eps = o.get("eps", 1e-8);
        Optimizer.Rule rule =
                switch (o.require("type")) {
                    case "adamw" -> new Optimizer.AdamW(rate, betas[0], betas[1], eps, decay);
                    case "adam" -> new Optimizer.Adam(rate, betas[0], betas[1], eps, decay);
                    case "sgd" -> new Optimizer.Sgd(rate, o.get("momentum", 0.0), o.get("nesterov", false), decay);
                    default -> throw o.unsupported("type", "adamw, adam, sgd");
                };
        List<String> noDecay = o.get("no_decay", List.of());
        return new Optimizer(parameters, rule, Optimizer.Group.noDecay(noDecay.toArray(String[]::new)));
    }

    private static void clip(Case c, Answers answers) {
        for (double limit : c.params().get("max_norms", new double[0])) {
            Map<String, Tensor> parameters = new LinkedHashMap<>();
            c.inputs().forEach((name, gradient) -> {
                Tensor p = gradient.copy().requireGrad(true);
                p.backward(gradient);
                parameters.put(name, p);
            });
            answers.put("norm", Tensor.scalarOf(Gradients.clip(parameters.values(), limit)));
            String suffix =
                    ".max_norm_" + (limit == Math.rint(limit) ? String.format(Locale.ROOT, "%.0f", limit) : limit);
            parameters.forEach((name, p) -> answers.put(name + suffix, p.grad()));
        }
    }

    private static void schedule(Case c, Answers answers) {
        Json p = c.params();
        double rate = p.get("lr", 0.0);
        long warmup = p.get("warmup", 0L);
        long total = p.get("total", 0L);
        Json polynomial = p.at("polynomial");
        Map<String, Schedule> schedules = Map.of(
                "constant_with_warmup", Schedule.constant(rate, warmup),
                "linear", Schedule.linear(rate, warmup, total),
                "cosine", Schedule.cosine(rate, warmup, total),
                "cosine_with_restarts",
                        Schedule.cosineWithRestarts(
                                rate,
                                warmup,
                                total,
                                p.at("cosine_with_restarts").get("cycles", 1)),
                "polynomial",
                        Schedule.polynomial(
                                rate, warmup, total, polynomial.get("power", 1.0), polynomial.get("lr_end", 1e-7)));
        schedules.forEach((name, schedule) -> {
            double[] rates = new double[p.get("steps", 0)];
            for (int step = 0; step < rates.length; step++) {
                rates[step] = schedule.at(step);
            }
            answers.put(name, rates);
        });
    }

    private static void ema(Case c, Answers answers) {
        Tensor weights = c.input("weights");
        for (String kind : c.params().keys()) {
            Json p = c.params().at(kind);
            Growth growth = kind.equals("constant")
                    ? Growth.NONE
                    : p.get("use_ema_warmup", false) ? Growth.POWER : Growth.RATIO;
            Decay decay = new Decay(
                    growth,
                    p.get("decay", 0.9999),
                    p.get("inv_gamma", 1.0),
                    p.get("power", 2.0 / 3),
                    p.get("update_after_step", 0L),
                    p.get("min_decay", 0.0));
            Tensor live = weights.select(0, 0).copy();
            List<Tensor> averages = new ArrayList<>();
            double[] used = new double[(int) weights.size(0) - 1];
            try (Ema ema = new Ema(Map.of("w", live), decay)) {
                for (int step = 0; step < used.length; step++) {
                    live.copyInPlace(weights.select(0, step + 1));
                    used[step] = ema.update();
                    averages.add(ema.average().get("w").copy());
                }
            }
            answers.put(kind, Tensor.stack(0, averages));
            answers.put(kind + ".decay", used);
        }
    }

    private static void trainable(Case c, Answers answers) {
        Json rules = c.params().at("rules");
        for (String recipe : rules.keys()) {
            Json rule = rules.at(recipe);
            Trainable trains = Trainable.of(rule.get("train", List.of()), rule.get("freeze", List.of()));
            List<String> names = names(c.beside(rule.require("names")));
            answers.put(
                    recipe,
                    Tensor.of(
                            names.stream()
                                    .mapToLong(n -> trains.test(n) ? 1 : 0)
                                    .toArray(),
                            names.size()));
        }
    }

    /** A file that holds one list of texts. */
    private static List<String> names(Path file) {
        try {
            return Json.parse(file.toString(), "{\"names\":" + Files.readString(file) + "}")
                    .get("names", List.of());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
