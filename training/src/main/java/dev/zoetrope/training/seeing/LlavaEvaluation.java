package dev.zoetrope.training.seeing;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.world.Facts;
import dev.zoetrope.world.Question;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;

/**
 * Asks a model about pictures that training never draws. An answer counts if it is exactly the right one, a caption if it
 * says the facts of the picture and nothing else; beside each share stands that of the same model with black pictures:
 * what can be guessed.
 */
public final class LlavaEvaluation {
    private static final int BATCH = 32;
    private static final int LONGEST = 24; // words of a caption

    /** What was asked, and whether what was said is right. */
    private record Asked(int scene, String question, Reading reading) {}

    @FunctionalInterface
    private interface Reading {
        boolean isRight(String said);
    }

    /** How often each kind of question was asked, answered well, and guessed well. */
    private static final class Count {
        private int asked;
        private int right;
        private int guessed;

        private void add(Count other) {
            asked += other.asked;
            right += other.right;
            guessed += other.guessed;
        }
    }

    private final Llava model;
    private final LlavaWords words;
    private final WorldPictures pictures;

    LlavaEvaluation(Llava model, LlavaWords words, WorldPictures pictures) {
        this.model = model;
        this.words = words;
        this.pictures = pictures;
    }

    /**
     * The table of a model card.
     *
     * @param folder a model that {@link LlavaTraining} made; in the folder of its run it is asked about what its recipe
     *     draws, elsewhere about all there is
     * @param scenes pictures of what training shows, and as many of what it never does
     */
    public static String table(Path folder, int scenes, Progress progress) {
        Path recipe = folder.toAbsolutePath().resolveSibling("recipe.json");
        Json world = Files.isRegularFile(recipe)
                ? Json.read(recipe).at("world")
                : Json.of("world", Map.of("levels", List.of("l1", "l2", "l3")));
        try (Llava model = Llava.load(folder);
                Tokenizer tokenizer = Tokenizer.open(folder)) {
            WorldPictures pictures = WorldPictures.of(world, model.tower().imageSize());
            return new LlavaEvaluation(model, new LlavaWords(tokenizer, model.tokensPerImage()), pictures)
                    .table(scenes, progress);
        }
    }

    /** @param scenes how many are asked about, of what training shows and of what it never does */
    String table(int scenes, Progress progress) {
        StringBuilder b = new StringBuilder(
                String.format("%-26s %-10s %6s %18s %18s%n", "pictures", "question", "asked", "exact", "blind"));
        boolean heldOut = pictures.objects().stream().anyMatch(o -> Split.heldOut(o, Style.FLAT));
        List<Split.Side> sides = heldOut ? List.of(Split.Side.SEEN, Split.Side.HELD_OUT) : List.of(Split.Side.SEEN);
        int done = 0;
        for (Split.Side side : sides) {
            Map<String, Count> counts = new LinkedHashMap<>();
            for (int i = 0; i < scenes; i += BATCH) {
                int n = Math.min(BATCH, scenes - i);
                count(WorldPictures.scenes(pictures.test(side), i, n), counts);
                done += n;
                if (!progress.step(done, sides.size() * scenes)) {
                    throw new CancellationException("stopped after " + done + " pictures");
                }
            }
            Count all = new Count();
            counts.values().forEach(all::add);
            counts.put("all", all);
            String name = side == Split.Side.SEEN ? "object and style seen" : "object never in this style";
            counts.forEach((kind, c) -> b.append(String.format(
                    Locale.ROOT,
                    "%-26s %-10s %6d %18s %18s%n",
                    name,
                    kind,
                    c.asked,
                    new Share(c.right, c.asked),
                    new Share(c.guessed, c.asked))));
        }
        return b.toString();
    }

    private void count(List<Scene> scenes, Map<String, Count> counts) {
        Map<String, List<Asked>> byKind = new TreeMap<>();
        for (int i = 0; i < scenes.size(); i++) {
            Scene scene = scenes.get(i);
            for (Question q : scene.questions(0)) {
                byKind.computeIfAbsent(q.kind().name().toLowerCase(Locale.ROOT), k -> new ArrayList<>())
                        .add(new Asked(i, q.text(), said -> said.equals(written(q.answer()))));
            }
            Facts facts = Facts.of(scene);
            byKind.computeIfAbsent("caption", k -> new ArrayList<>())
                    .add(new Asked(i, LlavaTraining.CAPTION.get(0), said -> Facts.read(said).equals(facts)));
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor pixels = pictures.pixels(scenes);
            Tensor seen = model.imageTokens(pixels); // [S, N, D]
            Tensor black = model.imageTokens(Tensor.full(-1, pixels.dtype(), pixels.device(), pixels.shape()));
            byKind.forEach((kind, asked) -> {
                Count c = counts.computeIfAbsent(kind, k -> new Count());
                c.asked += asked.size();
                c.right += right(asked, seen);
                c.guessed += right(asked, black);
            });
        }
    }

    /** As the tokenizer writes a text. */
    private String written(String text) {
        return words.tokenizer().decode(words.tokenizer().encodePlain(text), true);
    }

    private int right(List<Asked> asked, Tensor images) {
        Tokenizer tokenizer = words.tokenizer();
        int end = tokenizer.id(LlavaWords.END);
        try (Scope s = Scope.open();
                KvCache cache = new KvCache()) {
            long[] chosen = asked.stream().mapToLong(Asked::scene).toArray();
            Tensor own = images.indexSelect(0, Tensor.of(chosen, chosen.length));
            List<LlavaWords.Row> rows = asked.stream()
                    .map(a -> words.row(List.of(new Turn(a.question, "")), true))
                    .toList();
            LlavaWords.Batch b = words.batch(rows, Tokenizer.Side.LEFT);
            Generation.Options o =
                    Generation.Options.greedy(LONGEST).withEnds(Set.of(end), tokenizer.id(LlavaWords.PAD));
            try (Steps steps =
                    model.join(b.ids(), b.mask(), null, own).prompt().start(model.language(), cache)) {
                Tensor said = Generation.run(steps, b.ids(), o, Generation.Listener.NONE, Generation.Observer.NONE);
                int right = 0;
                for (int i = 0; i < asked.size(); i++) {
                    String answer = tokenizer.decode(said.select(0, i).toLongs(), true);
                    right += asked.get(i).reading.isRight(answer) ? 1 : 0;
                }
                return right;
            }
        }
    }
}
