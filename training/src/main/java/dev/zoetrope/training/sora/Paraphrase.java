package dev.zoetrope.training.sora;

import dev.zoetrope.world.Scene;
import dev.zoetrope.world.WorldObject;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Says Carousel's captions the way people would: things drive, walk and fly to the left instead of moving there, an apple
 * may be called red, and now and then a word stands there that nobody has seen before.
 */
public final class Paraphrase {
    private static final Pattern SIDEWAYS = Pattern.compile("\\b(?:moving|going|sliding) (?:to the )?(left|right)\\b");
    private static final List<String> VERBS = List.of(
            "driving",
            "flying",
            "walking",
            "running",
            "swimming",
            "rolling",
            "drifting",
            "travelling",
            "racing",
            "crawling",
            "floating",
            "passing");
    private static final Map<String, String> COLOURS = Map.ofEntries(
            Map.entry("car", "red"),
            Map.entry("apple", "red"),
            Map.entry("crab", "red"),
            Map.entry("balloon", "red"),
            Map.entry("strawberry", "red"),
            Map.entry("tomato", "red"),
            Map.entry("fire truck", "red"),
            Map.entry("fox", "orange"),
            Map.entry("carrot", "orange"),
            Map.entry("pumpkin", "orange"),
            Map.entry("basketball", "orange"),
            Map.entry("banana", "yellow"),
            Map.entry("star", "yellow"),
            Map.entry("taxi", "yellow"),
            Map.entry("lemon", "yellow"),
            Map.entry("turtle", "green"),
            Map.entry("frog", "green"),
            Map.entry("cactus", "green"),
            Map.entry("broccoli", "green"),
            Map.entry("crocodile", "green"),
            Map.entry("eggplant", "purple"),
            Map.entry("grapes", "purple"),
            Map.entry("whale", "blue"),
            Map.entry("pig", "pink"),
            Map.entry("teddy bear", "brown"));
    /** In no vocabulary. */
    private static final String UNHEARD = "zxqj";

    private Paraphrase() {}

    /** Words that this adds to those of Carousel. */
    public static Set<String> words() {
        Set<String> words = new TreeSet<>(VERBS);
        words.addAll(COLOURS.values());
        return words;
    }

    /** Another wording of a scene's caption. */
    public static String of(String caption, Scene scene, Random random) {
        String text = caption;
        if (random.nextDouble() < .3) {
            String verb = VERBS.get(random.nextInt(VERBS.size()));
            text = SIDEWAYS.matcher(text).replaceFirst(verb + (random.nextBoolean() ? " $1" : " to the $1"));
        }
        if (random.nextDouble() < .3) {
            text = coloured(text, scene.sprites().get(0).object());
        }
        if (random.nextDouble() < .05) {
            String[] words = text.split(" ");
            int at = random.nextInt(words.length);
            words[at] = random.nextBoolean() ? words[at] + " " + UNHEARD : UNHEARD + " " + words[at];
            text = String.join(" ", words);
        }
        return text;
    }

    private static String coloured(String text, WorldObject object) {
        String colour = COLOURS.get(object.name());
        if (colour == null) {
            return text;
        }
        String article = "aeiou".indexOf(colour.charAt(0)) >= 0 ? "an " : "a ";
        for (WorldObject.Name name : object.names()) {
            Matcher m = Pattern.compile("\\b(an? )?" + Pattern.quote(name.text()) + "\\b")
                    .matcher(text);
            if (m.find()) {
                return m.replaceFirst((m.group(1) == null ? "" : article) + colour + " " + name.text());
            }
        }
        return text;
    }
}
