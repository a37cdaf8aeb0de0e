package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.llava.Dialogue.Labelled;
import dev.zoetrope.nn.Adapters;
import dev.zoetrope.nn.Lora;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.Trainable;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.seeing.Exported;
import dev.zoetrope.training.seeing.WorldPictures;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Trains models that talk about pictures, in the stages that a recipe names: which parameters train, by patterns of their
 * names, on what, how fast, all of them or by adapters of low rank. A small model is drawn and learns the built-in world;
 * with {@code start} a published one, or that of another run, goes on, also on conversations of one's own. The finished
 * model is written to {@code model/} in the run folder under its release's names.
 */
public final class TalkTraining {

    private final Talker model;
    private final Weights weights;
    private final WorldPictures pictures;
    private final RunFolder folder;
    private final TrainingListener listener;

    private TalkTraining(
            Talker model, Weights weights, WorldPictures pictures, RunFolder folder, TrainingListener listener) {
        this.model = model;
        this.weights = weights;
        this.pictures = pictures;
        this.folder = folder;
        this.listener = listener;
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json settings = recipe.settings();
        List<Json> stages = settings.list("stages");
        if (stages.isEmpty()) {
            throw new UserError(settings.name() + ": stages is empty; see recipes/llava-world.yaml");
        }
        return settings.has("start")
                ? goOn(settings, stages, folder, listener)
                : begin(settings, stages, folder, listener);
    }

    /** A small model from nothing. */
    private static boolean begin(Json settings, List<Json> stages, RunFolder folder, TrainingListener listener) {
        Path target = folder.file("model");
        String system = settings.require("system");
        Json model = settings.requireAt("model");
        TalkWords.write(target, system);
        Map<String, Object> config;
        try (Tokenizer tokenizer = Tokenizer.open(target)) {
            config = config(model, system, tokenizer);
        }
        int side = model.requireAt("vision_config").get("image_size", 64);
        Exported.processor(
                target,
                processor(config),
                side,
                model.at("high_res_vision_config").get("image_size", 0));
        Json json = Json.of("model", config);
        try (RandomSource random = RandomSource.of(settings.get("seed", 0L));
                Weights weights = Weights.draw(random);
                Talker talker = Talker.of(target, json, weights)) {
            if (settings.has("tower")) {
                String at = talker.tower();
                if (at == null) {
                    throw new UserError(settings.name() + ": tower: " + system
                            + " has an eye of its own; leave it out and let ^vision train in a stage");
                }
                copyTower(weights.at(at), towerFolder(settings.require("tower")));
            }
            TalkTraining t =
                    new TalkTraining(talker, weights, WorldPictures.of(settings.at("world"), side), folder, listener);
            if (!t.stages(stages)) {
                return false;
            }
            Exported.write(target, config, weights);
            if (config.containsKey("mm_vision_tower")) { // these releases describe the tower in a file of its own
                Exported.json(target.resolve("vision_tower/config.json"), values(model.at("vision_config")));
            }
        }
        listener.message("the model is in " + target);
        int measured = settings.get("measured", 200);
        if (measured > 0) {
            listener.message(TalkEvaluation.table(target, measured, Progress.NONE));
        }
        return true;
    }

    /** A model that stands. */
    private static boolean goOn(Json settings, List<Json> stages, RunFolder folder, TrainingListener listener) {
        Path from = Path.of(settings.require("start"));
        Path target = folder.file("model");
        Json config = Json.read(from.resolve("config.json"));
        Pretrained.copyDescriptions(from, target);
        int side = config.at("vision_config").get("image_size", 64);
        try (Checkpoint file = Checkpoint.open(from);
                Weights weights = Weights.load(file).as(DType.FLOAT32);
                Talker talker = Talker.of(from, config, weights)) {
            TalkTraining t =
                    new TalkTraining(talker, weights, WorldPictures.of(settings.at("world"), side), folder, listener);
            if (!t.stages(stages)) {
                return false;
            }
            Exported.write(target, values(config), weights);
        }
        listener.message("the model is in " + target);
        return true;
    }

    private static String processor(Map<String, Object> config) {
        return switch (String.valueOf(config.get("model_type"))) {
            case "deepseek_vl" -> "DeepseekVLImageProcessor";
            case "deepseek_vl_hybrid" -> "DeepseekVLHybridImageProcessor";
            default -> "CLIPImageProcessor";
        };
    }

    /** The recipe's model, with the numbers that follow from the tokenizer. */
    private static Map<String, Object> config(Json model, String system, Tokenizer tokenizer) {
        Map<String, Object> config = values(model);
        Map<String, Object> ids = new LinkedHashMap<>();
        ids.put("vocab_size", tokenizer.size());
        ids.put("bos_token_id", tokenizer.id(TalkWords.BEGIN));
        ids.put("eos_token_id", tokenizer.id(TalkWords.END));
        ids.put("pad_token_id", tokenizer.id(TalkWords.PAD));
        if (model.has("text_config")) {
            Map<String, Object> text = values(model.at("text_config"));
            text.putIfAbsent("model_type", "llama");
            text.putAll(ids);
            config.put("text_config", text);
        }
        config.putAll(ids);
        if (system.equals("llava")) {
            config.putIfAbsent("model_type", "llava");
            config.putIfAbsent("architectures", List.of("LlavaForConditionalGeneration"));
            config.put("image_token_index", tokenizer.id(TalkWords.place(system)));
        }
        if (system.equals("deepseekvl")) {
            config.put("image_token_id", tokenizer.id(TalkWords.place(system)));
        }
        return config;
    }

    private static Map<String, Object> values(Json j) {
        Map<String, Object> r = new LinkedHashMap<>();
        j.keys().forEach(key -> r.put(key, j.isObject(key) ? values(j.at(key)) : j.value(key)));
        return r;
    }

    private static Path towerFolder(String folderOrBuiltIn) {
        return folderOrBuiltIn.equals(BuiltIn.CLIP) ? BuiltIn.folder(BuiltIn.CLIP) : Path.of(folderOrBuiltIn);
    }

    /** The tower of a CLIP or SigLIP that was trained before, such as a run's {@code model/}. */
    private static void copyTower(Weights tower, Path trained) {
        try (Autograd.Mode off = Autograd.off();
                Checkpoint file = Checkpoint.open(trained)) {
            tower.named().forEach((name, t) -> {
                String key = name.substring(tower.path().length() + 1);
                if (!key.startsWith("vision_model.")) {
                    return; // of other parts that stand below the same path
                }
                if (!file.has(key) || !Arrays.equals(file.shape(key), t.shape())) {
                    throw new UserError(trained + ": its tower does not have the recipe's shape: " + key
                            + (file.has(key) ? " differs" : " is missing") + "; give both the same vision_config");
                }
                try (Scope s = Scope.open()) {
                    t.copyInPlace(file.tensor(key));
                }
            });
        }
    }

    private boolean stages(List<Json> stages) {
        for (Json stage : stages) {
            if (!stage(stage)) {
                return false;
            }
        }
        return true;
    }

    private boolean stage(Json j) {
        int batch = j.get("batch", 16);
        Check.positive(batch, "batch");
        boolean plain =
                switch (j.get("template", "chat")) {
                    case "chat" -> false;
                    case "plain" -> true;
                    default -> throw j.unsupported("template", "chat, plain");
                };
        TalkData data = TalkData.of(j, pictures.training(), s -> row(s, plain).ids().length);
        weights.requireGrad(false);
        Map<String, Tensor> trained = new LinkedHashMap<>();
        if (!j.get("train", List.of()).isEmpty()) {
            trained.putAll(Trainable.of(j.get("train", List.of()), j.get("freeze", List.of()))
                    .apply(weights));
        }
        Weights adapters = j.has("lora") ? attach(j.at("lora"), j.get("seed", 0L)) : null;
        if (adapters != null) {
            trained.putAll(adapters.named());
        }
        if (trained.isEmpty()) {
            throw new UserError(j.name() + ": nothing trains; name parts under train, or adapters under lora");
        }
        boolean done = new Trainer(
                        j.require("name"),
                        Trainer.Settings.of(j),
                        trained,
                        groups(j.at("rates")),
                        (share, random, metrics) -> loss(data.batch(share.number(), batch), plain, metrics),
                        folder,
                        listener)
                .run((step, board) -> {});
        if (adapters != null) {
            Adapters.merge(weights); // the next stage, and the file, start from the model as it is now
        }
        return done;
    }

    /** {@code rates}: factors of the stage's rate by patterns of names; norms and biases do not decay. */
    private static List<Optimizer.Group> groups(Json rates) {
        List<Optimizer.Group> r = new ArrayList<>();
        rates.keys().forEach(pattern -> r.add(Optimizer.Group.rate(rates.get(pattern, 1.), pattern)));
        r.add(Optimizer.Group.noDecay("bias$", "norm"));
        return r;
    }

    /** @param j as peft's adapter_config.json: r, lora_alpha, lora_dropout, target_modules */
    private Weights attach(Json j, long seed) {
        try (RandomSource random = RandomSource.of(seed + 1)) {
            Adapters adapters = new Adapters(Lora.Config.of(j), weights, Weights.draw(random));
            adapters.attach(1);
            return adapters.weights();
        }
    }

    private Labelled row(TalkData.Sample sample, boolean plain) {
        return plain
                ? model.captioned(sample.turns().get(sample.turns().size() - 1).answer())
                : model.labelled(sample.turns());
    }

    private Tensor loss(List<TalkData.Sample> samples, boolean plain, Metrics metrics) {
        List<Labelled> rows = samples.stream().map(s -> row(s, plain)).toList();
        List<Image> images = samples.stream()
                .filter(s -> s.image() != null)
                .map(s -> Objects.requireNonNull(s.image()).get())
                .toList();
        Talker.Batch b = padded(rows, model.tokenizer().id(padOf(model.tokenizer())));
        metrics.add("words", (double) b.ids().size(1));
        return model.loss(b, images);
    }

    private static String padOf(Tokenizer t) {
        String pad = t.token("pad_token");
        return pad != null ? pad : Objects.requireNonNull(t.token("eos_token"), "the tokenizer has no end token");
    }

    private static Talker.Batch padded(List<Labelled> rows, int pad) {
        int width = rows.stream().mapToInt(r -> r.ids().length).max().orElseThrow();
        int n = rows.size();
        long[] ids = new long[n * width];
        long[] mask = new long[n * width];
        long[] labels = new long[n * width];
        Arrays.fill(ids, pad);
        Arrays.fill(labels, NextToken.IGNORED);
        for (int i = 0; i < n; i++) {
            Labelled r = rows.get(i);
            System.arraycopy(r.ids(), 0, ids, i * width, r.ids().length);
            System.arraycopy(r.labels(), 0, labels, i * width, r.labels().length);
            Arrays.fill(mask, i * width, i * width + r.ids().length, 1);
        }
        return new Talker.Batch(Tensor.of(ids, n, width), Tensor.of(mask, n, width), Tensor.of(labels, n, width));
    }
}
