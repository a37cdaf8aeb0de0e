package dev.zoetrope.world;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * A question about a scene that has one right answer.
 *
 * @param kind what is asked for
 * @param text the question
 * @param answer words in lower case, taken from a closed list for each kind
 */
public record Question(Kind kind, String text, String answer) {
    private static final long PURPOSE = 2_000_000;
    private static final List<String> NUMBERS = List.of("no", "one", "two", "three", "four", "five");
    private static final String YES = "yes";
    private static final String NO = "no";

    /** What questions ask for. */
    public enum Kind {
        /** The name of the object. */
        OBJECT("what is it?", "what is this?", "what do you see?", "which object is this?"),
        /** The motion, in its first wording. */
        MOTION("how {does} {o} move?", "what {is} {o} doing?", "which motion do you see?"),
        /** The colour of a plain ground. */
        COLOUR("which colour is the background?", "what colour is behind it?"),
        /** The name of a drawn ground. */
        GROUND("what is the ground?", "where does it take place?"),
        /** One of nine parts of the canvas, in the first frame. */
        PLACE("where {is} {o} at the start?", "in which part of the picture {is} {o} first?"),
        /** How many objects, as a word. */
        COUNT("how many objects are there?", "how many things do you see?"),
        /** The object in that relation to another. */
        RELATION("what is {r} {o}?", "which object is {r} {o}?"),
        /** Yes or no, half of each. */
        CHECK("{is} {o} {m}?", "do you see {o} {m}?"),
        /** The timbre of the object's group; the object is not named, since its name would tell without a look. */
        SOUND("what sound does it make?", "which instrument does it sound like?");

        private final List<String> wordings;

        Kind(String... wordings) {
            this.wordings = List.of(wordings);
        }
    }

    /** One question of every kind that the scene can answer; each variant draws other wordings. */
    static List<Question> of(Scene scene, int variant) {
        Draws draws = new Draws(scene.seed(), scene.number(), PURPOSE + variant);
        boolean clip = scene.frames() > 1;
        Scene.Sprite sprite = draws.of(scene.sprites());
        WorldObject object = sprite.object();
        List<Question> questions = new ArrayList<>();
        if (scene.sprites().size() == 1) {
            questions.add(ask(Kind.OBJECT, object, object.name(), draws));
        }
        Ground ground = scene.backdrop().ground();
        questions.add(ask(ground.plain() ? Kind.COLOUR : Kind.GROUND, object, ground.word(), draws));
        questions.add(ask(Kind.COUNT, object, NUMBERS.get(scene.sprites().size()), draws));
        questions.add(ask(Kind.PLACE, object, Recaption.place(sprite.track().get(0), scene), draws));
        Relation relation = scene.relation();
        if (relation != null) {
            String asked = ask(Kind.RELATION, scene.sprites().get(1).object(), "", draws)
                    .text
                    .replace("{r}", relation.words());
            questions.add(new Question(
                    Kind.RELATION, asked, scene.sprites().get(0).object().name()));
        }
        if (clip) {
            Motion motion = sprite.motion();
            questions.add(ask(Kind.MOTION, object, motion.wordings().get(0), draws));
            boolean truth = draws.unit() < .5;
            // Any of the nine other motions, so that all are denied equally often.
            int other = (motion.ordinal() + 1 + draws.below(Motion.values().length - 1)) % Motion.values().length;
            Motion named = truth ? motion : Motion.values()[other];
            Question check = ask(Kind.CHECK, object, truth ? YES : NO, draws);
            questions.add(
                    new Question(Kind.CHECK, check.text.replace("{m}", draws.of(named.wordings())), check.answer));
        }
        if (scene.sprites().size() == 1) {
            questions.add(ask(Kind.SOUND, object, Timbre.of(object).word(), draws));
        }
        return List.copyOf(questions);
    }

    private static Question ask(Kind kind, WorldObject object, String answer, Draws draws) {
        WorldObject.Name name = object.names().get(0);
        String text = draws.of(kind.wordings)
                .replace("{o}", "the " + name.text())
                .replace("{is}", name.is())
                .replace("{does}", name.number() == WorldObject.Number.MANY ? "do" : "does");
        return new Question(kind, text, answer);
    }

    /** All words that questions and answers hold beside those of captions, in alphabetical order. */
    public static SortedSet<String> words() {
        SortedSet<String> words = new TreeSet<>(NUMBERS);
        words.addAll(List.of(YES, NO, "do", "does"));
        for (Kind kind : Kind.values()) {
            kind.wordings.forEach(wording -> Caption.add(words, wording));
        }
        for (Ground ground : Ground.allDrawn()) {
            words.add(ground.word());
        }
        for (Timbre timbre : Timbre.values()) {
            words.add(timbre.word());
        }
        words.removeAll(Caption.words());
        return Collections.unmodifiableSortedSet(words);
    }
}
