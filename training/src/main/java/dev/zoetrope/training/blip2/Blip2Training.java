package dev.zoetrope.training.blip2;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.blip2.Blip2;
import dev.zoetrope.models.blip2.Blip2Pretraining;
import dev.zoetrope.models.blip2.Blip2Retrieval;
import dev.zoetrope.models.blip2.Blip2Vision;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.Trainable;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.WordTokenizer;
import dev.zoetrope.training.seeing.Exported;
import dev.zoetrope.training.seeing.WorldPictures;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Ground;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

/**
 * Trains BLIP-2 on pictures of the built-in world and their captions. What the paper takes ready made is made first: an
 * image encoder that names objects and grounds, and a language model of captions. Then stage 1 teaches the queries, with
 * the encoder frozen, and stage 2 teaches them to tell the language model, with that frozen too. Writes
 * {@code retrieval/} after stage 1 and {@code caption/} after stage 2 into the run folder.
 */
public final class Blip2Training {
    /** How captions begin in stage 2, as {@code caption} asks for them where nobody says otherwise. */
    static final String PROMPT = "a photo of";

    private static final String PAD = "[PAD]";
    private static final String BEGIN = "[CLS]";
    private static final String END = "[SEP]";
    private static final int LONGEST = 28;
    private static final List<Style> STYLES = List.of(Style.values());
    private static final List<Ground> GROUNDS = List.of(Ground.values());
    private static final String[] NO_DECAY = {"bias$", "[nN]orm", "embedding", "query_tokens", "temp"};

    /** Rows of texts, {@code [B, T]} each. */
    private record Rows(Tensor ids, Tensor mask) {}

    private final Json settings;
    private final WorldPictures pictures;
    private final World world;
    private final RunFolder folder;
    private final TrainingListener listener;

    private Blip2Training(Json settings, RunFolder folder, TrainingListener listener) {
        this.settings = settings;
        this.folder = folder;
        this.listener = listener;
        pictures = WorldPictures.of(settings.at("world"), side(settings));
        world = pictures.training();
    }

    private static int side(Json settings) {
        return settings.requireAt("model").at("vision_config").get("image_size", 64);
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        return new Blip2Training(recipe.settings(), folder, listener).run();
    }

    private boolean run() {
        Set<String> words = new TreeSet<>(Caption.words());
        words.addAll(List.of(PROMPT.split(" ")));
        Path retrieval = folder.file("retrieval");
        Path caption = folder.file("caption");
        WordTokenizer.write(retrieval, BEGIN, END, PAD, words, LONGEST);
        WordTokenizer.write(caption, BEGIN, END, PAD, words, LONGEST, false);
        long seed = settings.get("seed", 0L);
        try (RandomSource random = RandomSource.of(seed);
                Tokenizer closing = Tokenizer.open(retrieval);
                Tokenizer open = Tokenizer.open(caption);
                Weights vision = Weights.draw(random);
                Weights language = Weights.draw(random);
                Weights first = Weights.draw(random);
                Weights second = Weights.draw(random)) {
            Map<String, Object> config1 = config(closing, true);
            Map<String, Object> config2 = config(open, false);
            boolean done = vision(vision, Json.of("model", config1))
                    && language(language, Json.of("model", config2), open)
                    && stage1(first, Json.of("model", config1), vision, closing);
            if (done) {
                export(retrieval, config1, first);
                done = stage2(second, Json.of("model", config2), language, first, open);
            }
            if (done) {
                export(caption, config2, second);
                listener.message("the models are in " + retrieval + " and " + caption);
            }
            return done;
        }
    }

    private void export(Path model, Map<String, Object> config, Weights weights) {
        Exported.write(model, config, weights);
        Exported.processor(model, "BlipImageProcessor", side(settings));
    }

    /** The recipe's sizes, with the numbers that follow from the tokenizer. One token more starts, or is a picture. */
    private Map<String, Object> config(Tokenizer tokenizer, boolean retrieval) {
        Json model = settings.requireAt("model");
        Map<String, Object> vision = values(model.requireAt("vision_config"));
        Map<String, Object> queries = values(model.requireAt("qformer_config"));
        queries.put(
                "encoder_hidden_size",
                Blip2Vision.Config.of(model.at("vision_config")).hidden());
        queries.put("vocab_size", tokenizer.size() + 1);
        queries.put("max_position_embeddings", LONGEST);
        queries.put("use_qformer_text_input", retrieval);
        Map<String, Object> r = new LinkedHashMap<>();
        r.put("model_type", "blip-2");
        r.put("architectures", List.of(retrieval ? "Blip2ForImageTextRetrieval" : "Blip2ForConditionalGeneration"));
        r.put("num_query_tokens", model.get("num_query_tokens", 32));
        r.put("vision_config", vision);
        r.put("qformer_config", queries);
        if (retrieval) {
            r.put("image_text_hidden_size", model.get("image_text_hidden_size", 256));
            return r;
        }
        Map<String, Object> text = values(model.requireAt("text_config"));
        text.put("model_type", "opt");
        text.put("vocab_size", tokenizer.size() + 1);
        text.put("max_position_embeddings", 2 * LONGEST + model.get("num_query_tokens", 32));
        text.put("bos_token_id", tokenizer.id(BEGIN));
        text.put("eos_token_id", tokenizer.id(END));
        text.put("pad_token_id", tokenizer.id(PAD));
        r.put("text_config", text);
        r.put("image_token_index", tokenizer.size());
        r.put("use_decoder_only_language_model", true);
        return r;
    }

    private static Map<String, Object> values(Json j) {
        Map<String, Object> r = new LinkedHashMap<>();
        j.keys().forEach(key -> r.put(key, j.value(key)));
        return r;
    }

    /** The image encoder learns to name the object and the ground; the heads that do so are not kept. */
    private boolean vision(Weights w, Json config) {
        Json j = settings.requireAt("vision");
        int batch = j.get("batch", 64);
        Blip2Vision.Config c = Blip2Vision.Config.of(config.at("vision_config"));
        Blip2Vision model = new Blip2Vision(c, w.at("vision_model"));
        Linear objects =
                new Linear(w.at("heads.object"), c.hidden(), pictures.objects().size());
        Linear styles = new Linear(w.at("heads.style"), c.hidden(), STYLES.size());
        Linear grounds = new Linear(w.at("heads.ground"), c.hidden(), GROUNDS.size());
        return train("vision", j, w, (share, random, metrics) -> {
            List<Scene> scenes = WorldPictures.scenes(world, share.number() * batch, batch);
            Tensor all = model.forward(pictures.pixels(scenes)).mean(1); // [B, V]
            Tensor labels = pictures.labels(scenes);
            Tensor named = objects.forward(all);
            long[] ground = scenes.stream()
                    .mapToLong(s -> GROUNDS.indexOf(s.backdrop().ground()))
                    .toArray();
            long[] style = scenes.stream()
                    .mapToLong(s -> STYLES.indexOf(s.sprites().get(0).style()))
                    .toArray();
            metrics.add("object", named.argmax(-1).eq(labels).sum().item() / batch);
            return Functional.crossEntropy(named, labels)
                    .add(Functional.crossEntropy(grounds.forward(all), Tensor.of(ground, batch)))
                    .add(Functional.crossEntropy(styles.forward(all), Tensor.of(style, batch)));
        });
    }

    /** The language model learns captions without their pictures. */
    private boolean language(Weights w, Json config, Tokenizer tokenizer) {
        Json j = settings.requireAt("language");
        int batch = j.get("batch", 64);
        LanguageModel model = LanguageModel.of("opt", config.at("text_config"), w.at("language_model"));
        return train("language", j, w, (share, random, metrics) -> {
            Rows rows = begun(scenes(share, batch), tokenizer, share.number());
            Tensor logits = model.logits(model.forward(model.embed(rows.ids), rows.mask, null, null));
            return NextToken.loss(logits, rows.ids.maskedFill(rows.mask.eq(0L), NextToken.IGNORED));
        });
    }

    private List<Scene> scenes(Trainer.Share share, int batch) {
        return WorldPictures.scenes(world, share.number() * batch, batch);
    }

    /** Stage 1: what a text says is found in the frozen features. */
    private boolean stage1(Weights w, Json config, Weights vision, Tokenizer tokenizer) {
        Json j = settings.requireAt("stage1");
        int batch = j.get("batch", 32);
        Blip2Pretraining model = new Blip2Pretraining(Blip2Retrieval.Config.of(config), w);
        copy(vision, w, "vision_model.");
        Stage1Loss losses = new Stage1Loss(tokenizer.size(), tokenizer.id(PAD), Stage1Loss.SMOOTHING);
        return train("stage1", j, w, (share, random, metrics) -> {
            List<Scene> scenes = WorldPictures.distinct(world, share.number() * batch, batch);
            Random wording = new Random(share.number());
            List<String> texts = scenes.stream()
                    .map(s -> s.caption(Caption.Length.FULL, wording.nextInt(1 << 16)))
                    .toList();
            Rows rows = rows(texts.stream().map(tokenizer::encode).toList(), tokenizer);
            Stage1Loss.Batch b =
                    new Stage1Loss.Batch(model.retrieval().features(pictures.pixels(scenes)), rows.ids, rows.mask);
            Tensor similarity = Stage1Loss.similarity(model, b);
            Tensor itc = losses.contrast(similarity);
            Tensor itm =
                    Stage1Loss.match(Stage1Loss.matchLogits(model, b, Stage1Loss.Negatives.draw(similarity, random)));
            Tensor itg = losses.caption(losses.captionLogits(model, b), b);
            metrics.add("itc", itc.item());
            metrics.add("itm", itm.item());
            metrics.add("itg", itg.item());
            metrics.add("temperature", model.temperature().item());
            return itc.add(itm).add(itg);
        });
    }

    /** Stage 2: what the queries found is told to the frozen language model. */
    private boolean stage2(Weights w, Json config, Weights language, Weights first, Tokenizer tokenizer) {
        Json j = settings.requireAt("stage2");
        int batch = j.get("batch", 32);
        Blip2 model = new Blip2(Blip2.Config.of(config), w);
        copy(language, w, "language_model.");
        copy(first, w, "vision_model.", "qformer.", "query_tokens");
        int queries = model.config().queries();
        int prompt = tokenizer.encode(PROMPT).length;
        return train("stage2", j, w, (share, random, metrics) -> {
            List<Scene> scenes = scenes(share, batch);
            Rows rows = begun(scenes, tokenizer, share.number());
            Tensor places = Tensor.zeros(DType.INT64, Device.CPU, batch, queries);
            Tensor ids = Tensor.cat(1, places.add((long) model.config().imageToken()), rows.ids);
            Tensor mask = Tensor.cat(1, places.add(1L), rows.mask);
            Tensor told = rows.ids.maskedFill(rows.mask.eq(0L), NextToken.IGNORED);
            Tensor unasked = Tensor.full((double) NextToken.IGNORED, DType.INT64, Device.CPU, batch, queries + prompt);
            Tensor labels = Tensor.cat(1, unasked, told.narrow(1, prompt, told.size(1) - prompt));
            Splice row = model.join(ids, mask, model.imageTokens(pictures.pixels(scenes)));
            return NextToken.loss(model.logits(row, null), labels);
        });
    }

    /** Captions behind the prompt, closed. */
    private Rows begun(List<Scene> scenes, Tokenizer tokenizer, long wording) {
        Random random = new Random(wording);
        long end = tokenizer.id(END);
        List<long[]> rows = new ArrayList<>();
        for (Scene s : scenes) {
            String caption = s.caption(Caption.Length.FULL, random.nextInt(1 << 16));
            long[] ids = tokenizer.encode(PROMPT + " " + caption);
            long[] closed = Arrays.copyOf(ids, ids.length + 1);
            closed[ids.length] = end;
            rows.add(closed);
        }
        return rows(rows, tokenizer);
    }

    private static Rows rows(List<long[]> rows, Tokenizer tokenizer) {
        Tokenizer.Batch b = tokenizer.pad(rows, Tokenizer.Side.RIGHT);
        int width = b.ids()[0].length;
        return new Rows(flat(b.ids(), width), flat(b.mask(), width));
    }

    private static Tensor flat(long[][] rows, int width) {
        return Tensor.of(Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, width);
    }

    /** Copies what both have below these names. */
    private static void copy(Weights from, Weights to, String... prefixes) {
        Map<String, Tensor> source = from.named();
        try (Autograd.Mode off = Autograd.off()) {
            to.named().forEach((name, t) -> {
                Tensor known = source.get(name);
                if (known != null && Arrays.stream(prefixes).anyMatch(name::startsWith)) {
                    t.copyInPlace(known);
                }
            });
        }
    }

    /** One stage; what of it trains is said by its {@code train} and {@code freeze}, patterns of parameter names. */
    private boolean train(String stage, Json j, Weights w, Trainer.Objective objective) {
        Map<String, Tensor> trained = Trainable.of(j.get("train", List.of("")), j.get("freeze", List.of()))
                .apply(w);
        boolean done = new Trainer(
                        stage,
                        Trainer.Settings.of(j),
                        trained,
                        List.of(Optimizer.Group.noDecay(NO_DECAY)),
                        objective,
                        folder,
                        listener)
                .run((step, board) -> {});
        w.requireGrad(false);
        return done;
    }
}
