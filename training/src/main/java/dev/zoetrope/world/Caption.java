package dev.zoetrope.world;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * The grammar of captions. In frames, {a o} is an object with its article, {o} without, {is} the verb that agrees with it,
 * {m} a wording of its motion, {a c} and {c} the colour of a plain ground, {p} the place of a drawn one, {r} a relation.
 */
public final class Caption {
    private static final long WORDING = 1_000;

    private static final List<String> CLIP_ON_COLOUR = List.of(
            "{a o} {m} on {a c} background",
            "{o} {m} on {c}",
            "the {o} {is} {m} against {a c} backdrop",
            "{c} background with {a o} {m}",
            "a video of {a o} {m} in front of {a c} background");
    private static final List<String> PICTURE_ON_COLOUR = List.of(
            "{a o} on {a c} background",
            "{o} on {c}",
            "the {o} against {a c} backdrop",
            "{c} background with {a o}",
            "a picture of {a o} in front of {a c} background");
    private static final List<String> CLIP_IN_PLACE =
            List.of("{a o} {m} {p}", "{o} {m} {p}", "the {o} {is} {m} {p}", "a video of {a o} {m} {p}");
    private static final List<String> PICTURE_IN_PLACE =
            List.of("{a o} {p}", "{o} {p}", "the {o} {is} {p}", "a picture of {a o} {p}");
    private static final List<String> CLIP_PAIR = List.of(
            "{a o} {m} {r} {a o2} {m2}", "the {o} {is} {m} {r} {a o2} {m2}", "a video of {a o} {m} {r} {a o2} {m2}");
    private static final List<String> PICTURE_PAIR =
            List.of("{a o} {r} {a o2}", "the {o} {is} {r} {a o2}", "a picture of {a o} {r} {a o2}");
    private static final List<String> PAIR_GROUND =
            List.of(" on {a c} background", " on {c}", " against {a c} backdrop", " in front of {a c} background");
    private static final String CLIP = "{a o} {m}";
    private static final String PICTURE = "{a o}";
    private static final String FLAT = "flat drawing of ";
    private static final List<String> GLUE = List.of("a an the is are and", FLAT, "picture video");

    private Caption() {}

    /** How much a caption says. */
    public enum Length {
        /** Objects and motions. */
        SHORT,
        /** Objects, motions and ground. */
        FULL,
        /** Everything: also place, size, pace, style and camera. */
        RECAPTION
    }

    static String of(Scene scene, Length length, int variant) {
        return of(scene, length, new Draws(scene.seed(), scene.number(), WORDING + variant));
    }

    static String of(Scene scene, Length length, Draws draws) {
        return switch (length) {
            case SHORT -> objects(scene, draws, List.of(scene.frames() > 1 ? CLIP : PICTURE));
            case FULL -> full(scene, draws);
            case RECAPTION -> Recaption.of(scene, draws);
        };
    }

    /** All words that captions can hold, held-out names included, in alphabetical order. */
    public static SortedSet<String> words() {
        SortedSet<String> words = new TreeSet<>();
        List<List<String>> templates = List.of(
                CLIP_ON_COLOUR,
                PICTURE_ON_COLOUR,
                CLIP_IN_PLACE,
                PICTURE_IN_PLACE,
                CLIP_PAIR,
                PICTURE_PAIR,
                PAIR_GROUND,
                GLUE,
                Recaption.templates());
        templates.forEach(list -> list.forEach(template -> add(words, template)));
        for (WorldObject object : WorldObjects.all()) {
            object.names().forEach(name -> add(words, name.text()));
        }
        for (Motion motion : Motion.values()) {
            motion.wordings().forEach(wording -> add(words, wording));
        }
        for (Ground ground : Ground.values()) {
            add(words, ground.plain() ? ground.word() : String.join(" ", ground.places()));
        }
        for (Camera camera : Camera.values()) {
            add(words, String.join(" ", camera.wordings()));
        }
        for (Relation relation : Relation.values()) {
            add(words, relation.words());
        }
        for (Size size : Size.values()) {
            add(words, size.word());
        }
        return Collections.unmodifiableSortedSet(words);
    }

    static void add(SortedSet<String> words, String text) {
        for (String word : text.replaceAll("\\{[^}]*}", " ").split("[^a-z0-9]+")) {
            if (!word.isEmpty()) {
                words.add(word);
            }
        }
    }

    private static String full(Scene scene, Draws draws) {
        Ground ground = scene.backdrop().ground();
        boolean clip = scene.frames() > 1;
        String text;
        if (scene.sprites().size() == 1) {
            List<String> frames = ground.plain()
                    ? (clip ? CLIP_ON_COLOUR : PICTURE_ON_COLOUR)
                    : (clip ? CLIP_IN_PLACE : PICTURE_IN_PLACE);
            text = objects(scene, draws, frames);
        } else {
            List<String> frames = clip ? CLIP_PAIR : PICTURE_PAIR;
            text = objects(scene, draws, frames) + (ground.plain() ? draws.of(PAIR_GROUND) : " {p}");
        }
        text = ground(text, ground, draws);
        List<String> camera = scene.backdrop().camera().wordings();
        return clip && !camera.isEmpty() ? text + " " + draws.of(camera) : text;
    }

    /** Fills in all but the ground. */
    private static String objects(Scene scene, Draws draws, List<String> frames) {
        List<Scene.Sprite> sprites = scene.sprites();
        boolean clip = scene.frames() > 1;
        Relation relation = scene.relation();
        if (sprites.size() == 1) {
            return sprite(draws.of(frames), "", sprites.get(0), scene, draws);
        }
        if (relation == null) {
            List<String> parts = new ArrayList<>();
            for (Scene.Sprite sprite : sprites) {
                parts.add(sprite(clip ? CLIP : PICTURE, "", sprite, scene, draws));
            }
            return enumerate(parts);
        }
        String pair = frames.size() > 1 ? draws.of(frames) : (clip ? CLIP_PAIR : PICTURE_PAIR).get(0);
        pair = sprite(pair, "", sprites.get(0), scene, draws);
        pair = sprite(pair, "2", sprites.get(1), scene, draws);
        return pair.replace("{r}", relation.words());
    }

    static String enumerate(List<String> parts) {
        int last = parts.size() - 1;
        return last == 0 ? parts.get(0) : String.join(", ", parts.subList(0, last)) + " and " + parts.get(last);
    }

    private static String sprite(String frame, String which, Scene.Sprite sprite, Scene scene, Draws draws) {
        WorldObject.Name name =
                name(sprite, scene.sprites().size() > 1 ? sprite.size().word() : "", scene, draws);
        return frame.replace("{a o" + which + "}", name.indefinite())
                .replace("{o" + which + "}", name.text())
                .replace("{is}", name.is())
                .replace("{m" + which + "}", draws.of(sprite.motion().wordings()));
    }

    /** The object's name with its size, and for the flat style "flat drawing of" before it. */
    static WorldObject.Name name(Scene.Sprite sprite, String size, Scene scene, Draws draws) {
        WorldObject object = sprite.object();
        WorldObject.Name name = object.heldOutName();
        if (!scene.heldOutNames()) {
            // Its own name as often as all synonyms together.
            name = draws.unit() < .5 ? object.names().get(0) : draws.of(object.trainedNames());
        }
        if (!size.isEmpty()) {
            name = new WorldObject.Name(size + " " + name.text(), name.number());
        }
        if (sprite.style() == Style.FLAT) {
            name = new WorldObject.Name(FLAT + name.indefinite(), WorldObject.Number.ONE);
        }
        return name;
    }

    static String ground(String text, Ground ground, Draws draws) {
        if (!ground.plain()) {
            return text.replace("{p}", draws.of(ground.places()));
        }
        String colour = ground.word();
        return text.replace("{a c}", WorldObject.article(colour) + " " + colour).replace("{c}", colour);
    }
}
