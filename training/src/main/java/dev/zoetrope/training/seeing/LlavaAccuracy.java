package dev.zoetrope.training.seeing;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.models.llava.Llava;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.world.Question;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.World;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * The share of exact answers to questions about pictures that training never draws, for each kind of question, beside the
 * share of the same model with black pictures: what can be guessed.
 */
final class LlavaAccuracy {
    private static final int BATCH = 16;
    private static final int LONGEST = 8; // words of an answer

    private record Asked(Scene scene, Question question) {}

    private final Llava model;
    private final LlavaWords words;
    private final WorldPictures pictures;

    LlavaAccuracy(Llava model, LlavaWords words, WorldPictures pictures) {
        this.model = model;
        this.words = words;
        this.pictures = pictures;
    }

    /** @param scenes how many are asked about */
    String table(int scenes) {
        World world = pictures.test(Split.Side.SEEN);
        Map<Question.Kind, List<Asked>> byKind = new EnumMap<>(Question.Kind.class);
        for (Scene scene : WorldPictures.scenes(world, 0, scenes)) {
            for (Question q : scene.questions(0)) {
                byKind.computeIfAbsent(q.kind(), k -> new ArrayList<>()).add(new Asked(scene, q));
            }
        }
        StringBuilder b =
                new StringBuilder(String.format("%-10s %9s %9s %9s%n", "question", "asked", "exact", "blind"));
        byKind.forEach((kind, asked) -> b.append(String.format(
                Locale.ROOT,
                "%-10s %9d %7.1f %% %7.1f %%%n",
                kind.name().toLowerCase(Locale.ROOT),
                asked.size(),
                100 * exact(asked, false),
                100 * exact(asked, true))));
        return b.toString().stripTrailing();
    }

    private double exact(List<Asked> asked, boolean blind) {
        int right = 0;
        for (int i = 0; i < asked.size(); i += BATCH) {
            right += right(asked.subList(i, Math.min(asked.size(), i + BATCH)), blind);
        }
        return (double) right / asked.size();
    }

    private int right(List<Asked> asked, boolean blind) {
        Tokenizer tokenizer = words.tokenizer();
        int end = tokenizer.id(LlavaWords.END);
        int pad = tokenizer.id(LlavaWords.PAD);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                KvCache cache = new KvCache()) {
            Tensor pixels = pictures.pixels(asked.stream().map(Asked::scene).toList());
            Tensor images = model.imageTokens(blind ? Tensor.zeros(pixels.shape()) : pixels);
            List<LlavaWords.Row> rows = asked.stream()
                    .map(a -> words.row(List.of(new Turn(a.question.text(), "")), true))
                    .toList();
            LlavaWords.Batch b = words.batch(rows, Tokenizer.Side.LEFT);
            Generation.Options o = Generation.Options.greedy(LONGEST).withEnds(Set.of(end), pad);
            try (Steps steps =
                    model.join(b.ids(), b.mask(), null, images).prompt().start(model.language(), cache)) {
                Tensor said = Generation.run(steps, b.ids(), o, Generation.Listener.NONE, Generation.Observer.NONE);
                int right = 0;
                for (int i = 0; i < asked.size(); i++) {
                    String answer = tokenizer.decode(said.select(0, i).toLongs(), true);
                    String expected = tokenizer.decode(
                            tokenizer.encodePlain(asked.get(i).question.answer()), true);
                    right += answer.equals(expected) ? 1 : 0;
                }
                return right;
            }
        }
    }
}
