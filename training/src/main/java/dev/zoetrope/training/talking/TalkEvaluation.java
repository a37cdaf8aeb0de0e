package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.seeing.WorldPictures;
import dev.zoetrope.world.Facts;
import dev.zoetrope.world.Question;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.WorldObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.Predicate;

/**
 * Asks a model about pictures that training never draws, one question a conversation, as a person asks it. An answer
 * counts if it is exactly the right one, a caption if it says the facts of the picture and nothing else. Beside each share
 * stands that of the same model with black pictures: what can be guessed. The last row asks what needs no picture.
 */
public final class TalkEvaluation {
    private static final int SIDE = 64;
    private static final int LONGEST = 24; // words of a caption

    /** How often something was asked, answered well, and guessed well. */
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

    private final Chat chat;
    private final WorldPictures pictures;
    private final StringBuilder table = new StringBuilder(
            String.format("%-26s %-10s %6s %18s %18s%n", "pictures", "question", "asked", "exact", "blind"));

    private TalkEvaluation(Chat chat, WorldPictures pictures) {
        this.chat = chat;
        this.pictures = pictures;
    }

    /**
     * The table of a model card.
     *
     * @param folder a model that {@link TalkTraining} made; in the folder of its run it is asked about what its recipe
     *     draws, elsewhere about all there is
     * @param scenes pictures of what training shows, and as many of what it never does
     */
    public static String table(Path folder, int scenes, Progress progress) {
        Path recipe = folder.toAbsolutePath().resolveSibling("recipe.json");
        Json world = Files.isRegularFile(recipe)
                ? Json.read(recipe).at("world")
                : Json.of("world", Map.of("levels", List.of("l1", "l2", "l3")));
        try (Chat chat = Chat.load(folder)) {
            return new TalkEvaluation(chat, WorldPictures.of(world, SIDE)).table(scenes, progress);
        }
    }

    private String table(int scenes, Progress progress) {
        List<Split.Side> sides = pictures.sides();
        int done = 0;
        for (Split.Side side : sides) {
            Map<String, Count> counts = new LinkedHashMap<>();
            for (int i = 0; i < scenes; i++) {
                count(pictures.test(side).scene(i), counts);
                done++;
                if (!progress.step(done, sides.size() * scenes)) {
                    throw new CancellationException("stopped after " + done + " pictures");
                }
            }
            Count all = new Count();
            counts.values().forEach(all::add);
            counts.put("all", all);
            String name = side == Split.Side.SEEN ? "object and style seen" : "object never in this style";
            counts.forEach((kind, c) -> row(name, kind, c, new Share(c.guessed, c.asked).toString()));
        }
        row("none", "sound", known(), "");
        return table.toString();
    }

    private void row(String pictures, String kind, Count c, String blind) {
        table.append(String.format(
                Locale.ROOT,
                "%-26s %-10s %6d %18s %18s%n",
                pictures,
                kind,
                c.asked,
                new Share(c.right, c.asked),
                blind));
    }

    private void count(Scene scene, Map<String, Count> counts) {
        Image image = scene.render().frames().get(0);
        Facts facts = Facts.of(scene);
        ask(image, TalkData.CAPTION.get(0), said -> Facts.read(said).equals(facts), "caption", counts);
        for (Question q : scene.questions(0)) {
            String kind = q.kind().name().toLowerCase(Locale.ROOT);
            ask(image, q.text(), said -> said.equals(written(q.answer())), kind, counts);
        }
    }

    /** As the tokenizer writes a text. */
    private String written(String text) {
        var tokenizer = chat.model().tokenizer();
        return tokenizer.decode(tokenizer.encodePlain(text), true).strip();
    }

    private void ask(Image image, String question, Predicate<String> isRight, String kind, Map<String, Count> counts) {
        Count c = counts.computeIfAbsent(kind, k -> new Count());
        c.asked++;
        c.right += isRight.test(answer(question, List.of(image))) ? 1 : 0;
        Image black = Image.filled(image.width(), image.height(), 0);
        c.guessed += isRight.test(answer(question, List.of(black))) ? 1 : 0;
    }

    private Count known() {
        Count c = new Count();
        for (WorldObject object : pictures.objects()) {
            Turn turn = TalkData.OfWorld.known(object);
            c.asked++;
            c.right += answer(turn.question(), List.of()).equals(written(turn.answer())) ? 1 : 0;
        }
        return c;
    }

    private String answer(String question, List<Image> images) {
        String said = chat.ask(question, images, Chat.Options.DEFAULT.withMaxTokens(LONGEST), Chat.Listener.NONE)
                .text();
        chat.reset();
        return said;
    }
}
