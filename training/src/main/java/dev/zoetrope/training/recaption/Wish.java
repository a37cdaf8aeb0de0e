package dev.zoetrope.training.recaption;

import dev.zoetrope.training.sora.Paraphrase;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.Scene;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;

/**
 * What somebody might type who wants to see a scene: a caption's facts in other words, with something before or behind,
 * without articles, and with typing errors. Some wordings are kept for judging: no wish of training has them.
 */
public final class Wish {
    /** Share of the letters' words that are mistyped. */
    private static final double TYPOS = .12;

    private static final int SHORTEST_MISTYPED = 4;

    private static final Map<Motion, List<String>> VERBS = Map.of(
            Motion.STILL, List.of("that stands still", "at rest", "frozen", "that does not move"),
            Motion.LEFT, List.of("that moves left", "heading left", "which goes to the left", "leftwards"),
            Motion.RIGHT, List.of("that moves right", "heading right", "which goes to the right", "rightwards"),
            Motion.UP, List.of("that rises", "climbing", "going upwards", "that moves up"),
            Motion.DOWN, List.of("that falls", "sinking", "going downwards", "dropping down"),
            Motion.GROW, List.of("that grows", "that gets bigger", "swelling", "coming closer"),
            Motion.SHRINK, List.of("that shrinks", "that gets smaller", "going away", "dwindling"),
            Motion.SPIN, List.of("that spins", "turning round and round", "twirling", "in a spin"),
            Motion.BOUNCE, List.of("that bounces", "jumping", "that hops", "leaping up and down"),
            Motion.SWAY, List.of("that sways", "wobbling", "rocking from side to side", "swinging"));
    private static final List<String> BEFORE = List.of(
            "show me %s",
            "i want %s",
            "make a video of %s",
            "please make %s",
            "%s please",
            "a clip with %s",
            "i would like to see %s",
            "draw %s",
            "%s thanks",
            "can i have %s");
    private static final List<String> BEFORE_HELD_OUT =
            List.of("could you show %s", "my kid wants %s", "%s if you can", "let there be %s", "give us %s now");
    private static final Pattern ARTICLE = Pattern.compile("\\b(?:an?|the) ");
    private static final Pattern GROUND = Pattern.compile("\\b(?:background|backdrop)\\b");
    private static final List<String> GROUNDS = List.of("bg", "wall", "backround", "ground", "back");
    /** Rows of a keyboard: a slip hits a neighbour. */
    private static final List<String> KEYS = List.of("qwertyuiop", "asdfghjkl", "zxcvbnm");

    private Wish() {}

    /**
     * A wish that a scene fulfils. Half of the wishes do not say the ground.
     *
     * @param heldOut whether it is one for judging: it says all facts, in wordings that training never had
     */
    public static String of(Scene scene, Random random, boolean heldOut) {
        boolean whole = heldOut || random.nextDouble() < .7;
        String text = scene.caption(whole ? Caption.Length.FULL : Caption.Length.SHORT, random.nextInt(1 << 16));
        text = Paraphrase.of(text, scene, random);
        text = verb(text, scene, random);
        if (random.nextDouble() < .3) {
            text = GROUND.matcher(text).replaceFirst(GROUNDS.get(random.nextInt(GROUNDS.size())));
        }
        if (random.nextDouble() < .4) {
            text = ARTICLE.matcher(text).replaceAll("");
        }
        if (heldOut || random.nextDouble() < .5) {
            List<String> frames = heldOut ? BEFORE_HELD_OUT : BEFORE;
            text = frames.get(random.nextInt(frames.size())).replace("%s", text);
        }
        return random.nextDouble() < .7 ? mistyped(text, random) : text;
    }

    private static String verb(String text, Scene scene, Random random) {
        Motion motion = scene.sprites().get(0).motion();
        if (scene.frames() == 1 || random.nextDouble() < .5) {
            return text;
        }
        List<String> verbs = VERBS.get(motion);
        String verb = verbs.get(random.nextInt(verbs.size()));
        String longest = "";
        for (String wording : motion.wordings()) {
            longest = wording.length() > longest.length() && text.contains(wording) ? wording : longest;
        }
        return longest.isEmpty() ? text : text.replace(longest, verb);
    }

    private static String mistyped(String text, Random random) {
        String[] words = text.split(" ");
        for (int i = 0; i < words.length; i++) {
            if (words[i].length() >= SHORTEST_MISTYPED && random.nextDouble() < TYPOS) {
                words[i] = slip(words[i], random);
            }
        }
        return String.join(" ", words);
    }

    /** Two letters change places, one is missing, doubled, or its neighbour on the keyboard. */
    private static String slip(String word, Random random) {
        int at = random.nextInt(word.length() - 1);
        String before = word.substring(0, at);
        char c = word.charAt(at);
        String after = word.substring(at + 1);
        return switch (random.nextInt(4)) {
            case 0 -> before + after.charAt(0) + c + after.substring(1);
            case 1 -> before + after;
            case 2 -> before + c + c + after;
            default -> before + neighbour(c, random) + after;
        };
    }

    private static char neighbour(char c, Random random) {
        for (String row : KEYS) {
            int at = row.indexOf(c);
            if (at >= 0) {
                int next = at == 0 ? 1 : at == row.length() - 1 || random.nextBoolean() ? at - 1 : at + 1;
                return row.charAt(next);
            }
        }
        return c;
    }
}
