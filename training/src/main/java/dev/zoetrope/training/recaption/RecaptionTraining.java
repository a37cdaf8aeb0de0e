package dev.zoetrope.training.recaption;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.sora.Recaptioner;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.WordTokenizer;
import dev.zoetrope.training.seeing.Exported;
import dev.zoetrope.training.sora.Paraphrase;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
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
 * Trains a language model to write the caption of a scene when it reads a wish for it. Only the caption's words are
 * learned. The finished model is written to {@code model/} in the run folder.
 */
public final class RecaptionTraining {
    private static final long SCENES = 999_999_000; // a split has a milliard

    /** Where scenes come from: a share of them from the second. */
    private record Worlds(World known, World beyond, double share) {
        World draw(Random random) {
            return random.nextDouble() < share ? beyond : known;
        }
    }

    private final LanguageModel model;
    private final Tokenizer tokenizer;
    private final Worlds worlds;
    private final Caption.Length length;
    private final int batch;

    private RecaptionTraining(
            LanguageModel model, Tokenizer tokenizer, Worlds worlds, Caption.Length length, int batch) {
        this.model = model;
        this.tokenizer = tokenizer;
        this.worlds = worlds;
        this.length = length;
        this.batch = batch;
    }

    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json settings = recipe.settings();
        Json j = settings.requireAt("recaption");
        Json data = settings.at("world");
        List<WorldObject> all = WorldObjects.all();
        int known = data.get("first", all.size());
        World world = new World(
                settings.get("seed", 0L),
                Options.training()
                        .levels(Level.L1)
                        .styles(Style.SHADED)
                        .objects(all.subList(0, known))
                        .frames(data.get("frames", 16)));
        double others = known < all.size() ? data.get("others", 0.) : 0;
        World beyond = others > 0 ? world.with(world.options().objects(all.subList(known, all.size()))) : world;
        Path target = folder.file("model");
        writeTokenizer(target);
        try (RandomSource random = RandomSource.of(settings.get("seed", 0L));
                Tokenizer tokenizer = Tokenizer.open(target);
                Weights weights = Weights.draw(random)) {
            Map<String, Object> config = config(settings.at("model"), tokenizer);
            LanguageModel model = LanguageModel.of(Json.of("model", config), weights);
            RecaptionTraining t = new RecaptionTraining(
                    model,
                    tokenizer,
                    new Worlds(world, beyond, others),
                    j.get("length", Caption.Length.FULL),
                    j.get("batch", 32));
            boolean done = new Trainer(
                            "recaption",
                            Trainer.Settings.of(j),
                            weights.named(),
                            List.of(),
                            (share, r, metrics) -> t.loss(share.number(), metrics),
                            folder,
                            listener)
                    .run((step, board) -> {});
            if (done) {
                Exported.write(target, config, weights);
                listener.message("the model is in " + target);
            }
            return done;
        }
    }

    private static void writeTokenizer(Path folder) {
        List<String> special = new ArrayList<>(
                List.of(Recaptioner.PAD, Recaptioner.UNKNOWN, Recaptioner.BEGIN, Recaptioner.WRITE, Recaptioner.END));
        special.addAll(Recaptioner.letters());
        Set<String> words = new TreeSet<>(Caption.words());
        words.addAll(Paraphrase.words());
        words.addAll(List.of(".", ","));
        WordTokenizer.write(folder, special, Recaptioner.UNKNOWN, words, Map.of());
    }

    private static Map<String, Object> config(Json model, Tokenizer tokenizer) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("architectures", List.of(Recaptioner.CLASS));
        config.put("model_type", "llama");
        model.keys().forEach(key -> config.put(key, model.value(key)));
        config.put("vocab_size", tokenizer.size());
        config.put("bos_token_id", tokenizer.id(Recaptioner.BEGIN));
        config.put("eos_token_id", tokenizer.id(Recaptioner.END));
        config.put("pad_token_id", tokenizer.id(Recaptioner.PAD));
        return config;
    }

    private Tensor loss(long place, Metrics metrics) {
        Random wording = new Random(place);
        List<long[]> ids = new ArrayList<>();
        List<long[]> labels = new ArrayList<>();
        int longest = 0;
        for (int i = 0; i < batch; i++) {
            Scene scene = worlds.draw(wording).scene((place * batch + i) % SCENES);
            long[] wish = Recaptioner.read(tokenizer, Wish.of(scene, wording, false));
            long[] caption = Recaptioner.write(tokenizer, scene.plainCaption(length));
            long[] row = Arrays.copyOf(wish, wish.length + caption.length);
            System.arraycopy(caption, 0, row, wish.length, caption.length);
            long[] learned = row.clone();
            Arrays.fill(learned, 0, wish.length, NextToken.IGNORED);
            ids.add(row);
            labels.add(learned);
            longest = Math.max(longest, row.length);
        }
        // Filled up on the right, where no token of the row looks.
        Tensor rows = tensor(ids, longest, tokenizer.id(Recaptioner.PAD));
        Tensor targets = tensor(labels, longest, NextToken.IGNORED);
        Tensor logits = model.logits(model.forward(model.embed(rows), null, null, null)); // [B, T, V]
        metrics.add("right", right(logits, targets));
        return NextToken.loss(logits, targets);
    }

    /** Share of the caption's words that are the likeliest. */
    private static double right(Tensor logits, Tensor targets) {
        try (Scope s = Scope.open()) {
            long last = logits.size(1) - 1;
            Tensor next = targets.narrow(1, 1, last);
            Tensor said = logits.detach().narrow(1, 0, last).argmax(-1);
            double hits = said.eq(next).to(DType.FLOAT32).sum().item();
            return hits / next.ne(NextToken.IGNORED).to(DType.FLOAT32).sum().item();
        }
    }

    private static Tensor tensor(List<long[]> rows, int width, long fill) {
        long[] all = new long[rows.size() * width];
        Arrays.fill(all, fill);
        for (int i = 0; i < rows.size(); i++) {
            System.arraycopy(rows.get(i), 0, all, i * width, rows.get(i).length);
        }
        return Tensor.of(all, rows.size(), width);
    }
}
