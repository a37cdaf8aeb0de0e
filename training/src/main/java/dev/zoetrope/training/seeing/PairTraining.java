package dev.zoetrope.training.seeing;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.Clip;
import dev.zoetrope.models.siglip.Siglip;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Contrastive;
import dev.zoetrope.training.GradientCache;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.WordTokenizer;
import dev.zoetrope.training.pictures.PictureData;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.World;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Trains CLIP or SigLIP on pictures and their captions, of the built-in world, or of the recipe's {@code data}, a
 * {@code path} with what people keep. The recipe's {@code model} is the model's
 * config.json, but for what the vocabulary decides. A batch may be larger than what fits in memory: it is taken in parts
 * by a gradient cache. The finished model is written to {@code model/} in the run folder.
 */
public final class PairTraining {
    private static final String PAD = "[PAD]";
    private static final String BEGIN = "<|startoftext|>";
    private static final String END = "<|endoftext|>";
    private static final int LONGEST = 24;
    private static final int BATCH = 256;

    /** What CLIP and SigLIP have in common here. */
    private record Pair(
            UnaryOperator<Tensor> images,
            UnaryOperator<Tensor> texts,
            BinaryOperator<Tensor> loss,
            Tensor logitScale) {}

    /** @param pixels {@code [B, 3, H, W]} in -1..1 */
    private record Batch(Tensor pixels, List<String> texts) {}

    /** A worker's share of a step. */
    @FunctionalInterface
    private interface Pairs {
        Batch of(Trainer.Share share);
    }

    private final Pair model;
    private final Tokenizer tokenizer;
    private final Pairs pairs;
    private final int batch;
    private final int part;

    private PairTraining(Pair model, Tokenizer tokenizer, Pairs pairs, Json j) {
        this.model = model;
        this.tokenizer = tokenizer;
        this.pairs = pairs;
        this.batch = j.get("batch", BATCH);
        this.part = j.get("part", 64);
        Check.positive(part, "part");
        Check.atMost(batch, part, "batch", "part");
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json settings = recipe.settings();
        Json j = settings.requireAt("training");
        int side = settings.requireAt("model").at("vision_config").get("image_size", 64);
        Path folderOfModel = folder.file("model");
        try (@Nullable PictureData data = settings.has("data") ? data(settings, j, side, listener) : null) {
            WordTokenizer.write(
                    folderOfModel, BEGIN, END, PAD, data == null ? PairTexts.words() : PairTexts.words(data), LONGEST);
            Pairs pairs = data == null ? ofWorld(settings, j, side) : ofData(data);
            return run(settings, folder, listener, pairs, side);
        }
    }

    private static PictureData data(Json settings, Json j, int side, TrainingListener listener) {
        Json sized = settings.at("data").with("size", side + "x" + side).with("batch", j.get("batch", BATCH));
        return PictureData.of(sized, j, settings.get("seed", 0L), listener);
    }

    private static Pairs ofData(PictureData data) {
        return share -> {
            PictureData.Batch b = data.batch(share);
            return new Batch(b.values(), b.captions());
        };
    }

    private static Pairs ofWorld(Json settings, Json j, int side) {
        WorldPictures pictures = WorldPictures.of(settings.at("world"), side);
        World world = pictures.training();
        int batch = j.get("batch", BATCH);
        return share -> {
            Random wording = new Random(share.number());
            List<Scene> scenes = WorldPictures.distinct(world, share.number() * batch, batch);
            return new Batch(
                    pictures.pixels(scenes),
                    scenes.stream().map(s -> PairTexts.of(s, wording)).toList());
        };
    }

    private static boolean run(Json settings, RunFolder folder, TrainingListener listener, Pairs pairs, int side) {
        Json j = settings.requireAt("training");
        String system = settings.require("system");
        Path folderOfModel = folder.file("model");
        try (RandomSource random = RandomSource.of(settings.get("seed", 0L));
                Tokenizer tokenizer = Tokenizer.open(folderOfModel);
                Weights weights = Weights.draw(random)) {
            Map<String, Object> config = config(system, settings.requireAt("model"), tokenizer);
            Json json = Json.of("model", config);
            Pair pair = system.equals("clip")
                    ? pair(new Clip(Clip.Config.of(json), weights))
                    : pair(new Siglip(Siglip.Config.of(json), weights));
            Trainer.Settings s = Trainer.Settings.of(j);
            PairTraining t = new PairTraining(pair, tokenizer, pairs, j);
            double max = j.get("logit_scale_max", Double.POSITIVE_INFINITY);
            boolean done = new Trainer(
                            system,
                            s,
                            weights.named(),
                            List.of(Optimizer.Group.noDecay("bias$", "norm", "layrnorm", "logit_")),
                            t::loss,
                            folder,
                            listener)
                    .afterEachStep(() -> {
                        if (Double.isFinite(max)) {
                            Contrastive.clampScale(pair.logitScale, max);
                        }
                    })
                    .run((step, board) -> {});
            if (done) {
                Exported.write(folderOfModel, config, weights);
                Exported.processor(
                        folderOfModel, system.equals("clip") ? "CLIPImageProcessor" : "SiglipImageProcessor", side);
                listener.message("the model is in " + folderOfModel);
            }
            return done;
        }
    }

    private static Pair pair(Clip clip) {
        return new Pair(
                clip::images,
                ids -> clip.texts(ids, null),
                (images, texts) -> Contrastive.softmax(clip.logits(images, texts)),
                clip.logitScale());
    }

    private static Pair pair(Siglip siglip) {
        return new Pair(
                siglip::images,
                siglip::texts,
                (images, texts) -> Contrastive.sigmoid(siglip.logits(images, texts)),
                siglip.logitScale());
    }

    /** The recipe's towers, with the numbers that follow from the tokenizer. */
    private static Map<String, Object> config(String system, Json model, Tokenizer tokenizer) {
        Map<String, Object> text = values(model.at("text_config"));
        text.put("vocab_size", tokenizer.size());
        text.put("max_position_embeddings", LONGEST);
        text.put("bos_token_id", tokenizer.id(BEGIN));
        text.put("eos_token_id", tokenizer.id(END));
        text.put("pad_token_id", tokenizer.id(PAD));
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("model_type", system);
        config.put("architectures", List.of(system.equals("clip") ? "CLIPModel" : "SiglipModel"));
        config.putAll(values(model));
        config.put("vision_config", values(model.at("vision_config")));
        config.put("text_config", text);
        return config;
    }

    private static Map<String, Object> values(Json j) {
        Map<String, Object> r = new LinkedHashMap<>();
        j.keys().forEach(key -> r.put(key, j.value(key)));
        return r;
    }

    private Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        Batch all = pairs.of(share);
        Tensor pixels = all.pixels(); // [B, 3, H, W]
        Tensor ids = ids(all.texts()); // [B, T]
        List<Supplier<Tensor>> images = new ArrayList<>();
        List<Supplier<Tensor>> texts = new ArrayList<>();
        for (int i = 0; i < batch; i += part) {
            int from = i;
            int n = Math.min(part, batch - i);
            images.add(() -> model.images.apply(pixels.narrow(0, from, n)));
            texts.add(() -> model.texts.apply(ids.narrow(0, from, n)));
        }
        metrics.add("logit_scale", Math.exp(model.logitScale.item()));
        if (images.size() == 1) {
            return model.loss.apply(images.get(0).get(), texts.get(0).get());
        }
        return GradientCache.loss(images, texts, model.loss, 1.0 / share.of());
    }

    private Tensor ids(List<String> texts) {
        List<long[]> rows =
                texts.stream().map(t -> tokenizer.encode(t, LONGEST)).toList();
        long[] all = Arrays.stream(
                        tokenizer.pad(rows, LONGEST, Tokenizer.Side.RIGHT).ids())
                .flatMapToLong(Arrays::stream)
                .toArray();
        return Tensor.of(all, texts.size(), LONGEST);
    }
}
