package dev.zoetrope.training.seeing;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.nn.Adapters;
import dev.zoetrope.nn.Lora;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tensor.Autograd;
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
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Question;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Trains a small model of the LLaVA family on pictures of the built-in world, their captions and questions about them, in
 * the stages that a recipe names: which parts train, on what, how fast, all of them or by adapters of low rank. It ends
 * with the share of exact answers on pictures that training never draws, beside that of the same model blind. The finished
 * model is written to {@code model/} in the run folder and loads as any of llava-hf's.
 */
public final class LlavaTraining {
    static final List<String> CAPTION = List.of(
            "describe this picture in one sentence", "describe the picture", "what do you see in this picture?");
    private static final int TURNS = 5; // questions of one conversation

    /** What a stage learns from. */
    private enum Data {
        /** Captions as answers, without their pictures: the language model learns the world's words. */
        WORDS,
        CAPTIONS,
        /** Several questions about a picture, often for its caption in the end. */
        CONVERSATIONS
    }

    private final Llava model;
    private final LlavaWords words;
    private final WorldPictures pictures;
    private final World world;

    private LlavaTraining(Llava model, LlavaWords words, WorldPictures pictures) {
        this.model = model;
        this.words = words;
        this.pictures = pictures;
        this.world = pictures.training();
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json settings = recipe.settings();
        Json modelSettings = settings.requireAt("model");
        int side = modelSettings.at("vision_config").get("image_size", 64);
        WorldPictures pictures = WorldPictures.of(settings.at("world"), side);
        Path target = folder.file("model");
        LlavaWords.write(target);
        try (RandomSource random = RandomSource.of(settings.get("seed", 0L));
                Tokenizer tokenizer = Tokenizer.open(target);
                Weights weights = Weights.draw(random)) {
            Map<String, Object> config = config(modelSettings, tokenizer);
            Llava llava = new Llava(Llava.Config.of(Json.of("model", config)), weights);
            if (settings.has("tower")) {
                copyTower(weights.at("vision_tower"), towerFolder(settings.require("tower")));
            }
            LlavaTraining t = new LlavaTraining(llava, new LlavaWords(tokenizer, llava.tokensPerImage()), pictures);
            List<Json> stages = settings.list("stages");
            if (stages.isEmpty()) {
                throw new UserError(settings.name() + ": stages is empty; see recipes/llava-world.yaml");
            }
            for (Json stage : stages) {
                if (!t.stage(stage, weights, folder, listener)) {
                    return false;
                }
            }
            Exported.write(target, config, weights);
            Exported.processor(target, "CLIPImageProcessor", side);
            listener.message("the model is in " + target);
            listener.message(new LlavaEvaluation(llava, t.words, pictures).table(settings.get("measured", 200), Progress.NONE));
            return true;
        }
    }

    /** The recipe's model, with the numbers that follow from the tokenizer. */
    private static Map<String, Object> config(Json model, Tokenizer tokenizer) {
        Map<String, Object> text = values(model.at("text_config"));
        text.putIfAbsent("model_type", "llama");
        text.put("vocab_size", tokenizer.size());
        text.put("bos_token_id", tokenizer.id(LlavaWords.BEGIN));
        text.put("eos_token_id", tokenizer.id(LlavaWords.END));
        text.put("pad_token_id", tokenizer.id(LlavaWords.PAD));
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", "llava");
        config.put("architectures", List.of("LlavaForConditionalGeneration"));
        config.putAll(values(model));
        config.put("vision_config", values(model.at("vision_config")));
        config.put("text_config", text);
        config.put("image_token_index", tokenizer.id(LlavaWords.IMAGE));
        config.put("eos_token_id", tokenizer.id(LlavaWords.END));
        config.put("pad_token_id", tokenizer.id(LlavaWords.PAD));
        return config;
    }

    private static Map<String, Object> values(Json j) {
        Map<String, Object> r = new LinkedHashMap<>();
        j.keys().forEach(key -> r.put(key, j.value(key)));
        return r;
    }

    private static Path towerFolder(String folderOrBuiltIn) {
        return folderOrBuiltIn.equals(BuiltIn.CLIP) ? BuiltIn.folder(BuiltIn.CLIP) : Path.of(folderOrBuiltIn);
    }

    /** The tower of a CLIP that was trained before, such as a run's {@code model/}. */
    private static void copyTower(Weights tower, Path clip) {
        try (Autograd.Mode off = Autograd.off();
                Checkpoint file = Checkpoint.open(clip)) {
            tower.named().forEach((name, t) -> {
                String key = name.substring(tower.path().length() + 1);
                if (!file.has(key) || !Arrays.equals(file.shape(key), t.shape())) {
                    throw new UserError(clip + ": its tower does not have the recipe's shape: " + key
                            + (file.has(key) ? " differs" : " is missing") + "; give both the same vision_config");
                }
                try (Scope s = Scope.open()) {
                    t.copyInPlace(file.tensor(key));
                }
            });
        }
    }

    private boolean stage(Json j, Weights weights, RunFolder folder, TrainingListener listener) {
        String name = j.require("name");
        Data data = j.get("data", Data.CONVERSATIONS);
        int batch = j.get("batch", 16);
        Check.positive(batch, "batch");
        weights.requireGrad(false);
        Map<String, Tensor> trained = new LinkedHashMap<>();
        if (!j.get("train", List.of()).isEmpty()) {
            Trainable rule = Trainable.of(j.get("train", List.of()), j.get("freeze", List.of()));
            trained.putAll(rule.apply(weights));
        }
        Weights adapters = j.has("lora") ? attach(j.at("lora"), weights, j.get("seed", 0L)) : null;
        if (adapters != null) {
            trained.putAll(adapters.named());
        }
        if (trained.isEmpty()) {
            throw new UserError(j.name() + ": nothing trains; name parts under train, or adapters under lora");
        }
        boolean done = new Trainer(
                        name,
                        Trainer.Settings.of(j),
                        trained,
                        groups(j.at("rates")),
                        (step, worker, random, metrics) -> loss(data, batch, step * 64 + worker, metrics),
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

    private static Weights attach(Json j, Weights weights, long seed) {
        List<String> targets = j.get("targets", List.of("q_proj", "k_proj", "v_proj", "o_proj"));
        Lora.Config config = Lora.Config.of(
                j.get("rank", 8), j.get("alpha", 16.), j.get("dropout", 0.), targets.toArray(String[]::new));
        try (RandomSource random = RandomSource.of(seed + 1)) {
            Adapters adapters = new Adapters(config, weights.at("language_model"), Weights.draw(random));
            adapters.attach(1);
            return adapters.weights();
        }
    }

    private Tensor loss(Data data, int batch, long place, Metrics metrics) {
        Random wording = new Random(place);
        List<Scene> scenes = new ArrayList<>();
        List<LlavaWords.Row> rows = new ArrayList<>();
        for (int i = 0; i < batch; i++) {
            Scene scene = world.scene((place * batch + i) % SCENES);
            scenes.add(scene);
            rows.add(words.row(turns(data, scene, wording), data != Data.WORDS));
        }
        Tensor images = data == Data.WORDS ? null : model.imageTokens(pictures.pixels(scenes));
        LlavaWords.Batch b = words.batch(rows, Tokenizer.Side.RIGHT);
        Tensor loss = loss(b, images);
        metrics.add("words", (double) b.ids().size(1));
        return loss;
    }

    private Tensor loss(LlavaWords.Batch b, @Nullable Tensor images) {
        Splice row = model.join(b.ids(), b.mask(), b.labels(), images);
        return NextToken.loss(model.logits(row), b.labels());
    }

    private static final long SCENES = 999_999_000; // a split has a milliard

    private static List<Turn> turns(Data data, Scene scene, Random random) {
        int variant = random.nextInt(1 << 16);
        String wording = CAPTION.get(random.nextInt(CAPTION.size()));
        Turn caption = new Turn(wording, scene.caption(Caption.Length.FULL, variant));
        if (data != Data.CONVERSATIONS || random.nextInt(6) == 0) {
            return List.of(caption);
        }
        List<Question> questions = new ArrayList<>(scene.questions(variant));
        Collections.shuffle(questions, random);
        questions.subList(Math.min(questions.size(), 1 + random.nextInt(TURNS)), questions.size()).clear();
        // What names an object comes after what asks for one: an answer must not be read off an earlier question.
        questions.sort(Comparator.comparing(q -> q.kind() == Question.Kind.PLACE));
        List<Turn> turns = new ArrayList<>();
        questions.forEach(q -> turns.add(new Turn(q.text(), q.answer().toLowerCase(Locale.ROOT))));
        if (random.nextInt(3) == 0) {
            turns.add(caption);
        }
        return turns;
    }
}
