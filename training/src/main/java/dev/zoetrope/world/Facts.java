package dev.zoetrope.world;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a caption says, without its wording: two captions that say the same have equal facts. Reads the captions of this
 * world's grammar, and whatever a person or a model writes in its words; other words are passed over.
 *
 * @param things in the order in which they are named
 * @param relation of the first thing to the second, null if not said
 * @param ground what is behind them, null if not said
 * @param camera what it does, fixed if not said
 */
public record Facts(List<Thing> things, @Nullable Relation relation, @Nullable Ground ground, Camera camera) {
    private static final Map<String, Object> PHRASES = phrases();
    private static final int LONGEST = PHRASES.keySet().stream()
            .mapToInt(phrase -> phrase.split(" ").length)
            .max()
            .orElse(0);

    public Facts {
        things = List.copyOf(things);
    }

    /**
     * One thing named.
     *
     * @param object what it is
     * @param style how it is drawn, shaded if not said
     * @param size how big, medium if not said
     * @param motion how it moves, null if not said
     */
    public record Thing(WorldObject object, Style style, Size size, @Nullable Motion motion) {}

    /** What full captions of the scene say. */
    public static Facts of(Scene scene) {
        boolean clip = scene.frames() > 1;
        boolean alone = scene.sprites().size() == 1;
        List<Thing> things = scene.sprites().stream()
                .map(sprite -> new Thing(
                        sprite.object(),
                        sprite.style(),
                        alone ? Size.MEDIUM : sprite.size(),
                        clip ? sprite.motion() : null))
                .toList();
        return new Facts(
                things,
                scene.relation(),
                scene.backdrop().ground(),
                clip ? scene.backdrop().camera() : Camera.FIXED);
    }

    /** What a caption says. */
    public static Facts read(String caption) {
        String[] words = caption.toLowerCase(Locale.ROOT)
                .replaceAll("[^a-z0-9]+", " ")
                .strip()
                .split(" ");
        List<Thing> things = new ArrayList<>();
        Style style = Style.SHADED;
        Size size = Size.MEDIUM;
        Relation relation = null;
        Ground ground = null;
        Camera camera = Camera.FIXED;
        for (int at = 0; at < words.length; ) {
            int length = Math.min(LONGEST, words.length - at);
            Object said = null;
            while (length > 0 && said == null) {
                said = PHRASES.get(String.join(" ", List.of(words).subList(at, at + length)));
                length -= said == null ? 1 : 0;
            }
            at += Math.max(1, length);
            if (said instanceof WorldObject object) {
                things.add(new Thing(object, style, size, null));
                style = Style.SHADED;
                size = Size.MEDIUM;
            } else if (said instanceof Motion motion && !things.isEmpty()) {
                Thing last = things.remove(things.size() - 1);
                things.add(new Thing(last.object, last.style, last.size, motion));
            } else if (said instanceof Style named) {
                style = named;
            } else if (said instanceof Size named) {
                size = named;
            } else if (said instanceof Relation named) {
                relation = named;
            } else if (said instanceof Ground named) {
                ground = named;
            } else if (said instanceof Camera named) {
                camera = named;
            }
        }
        return new Facts(things, relation, ground, camera);
    }

    @Override
    public String toString() {
        return things + (relation == null ? "" : " " + relation) + " on " + ground
                + (camera == Camera.FIXED ? "" : " " + camera);
    }

    private static Map<String, Object> phrases() {
        Map<String, Object> phrases = new HashMap<>();
        for (WorldObject object : WorldObjects.all()) {
            object.names().forEach(name -> phrases.put(name.text(), object));
        }
        for (Motion motion : Motion.values()) {
            motion.wordings().forEach(wording -> phrases.put(wording, motion));
        }
        for (Ground ground : Ground.values()) {
            ground.places().forEach(place -> phrases.put(place, ground));
            if (ground.plain()) {
                phrases.put(ground.word(), ground);
            }
        }
        for (Camera camera : Camera.values()) {
            camera.wordings().forEach(wording -> phrases.put(wording, camera));
        }
        for (Relation relation : Relation.values()) {
            phrases.put(relation.words(), relation);
        }
        phrases.put(Size.SMALL.word(), Size.SMALL);
        phrases.put(Size.BIG.word(), Size.BIG);
        phrases.put("flat", Style.FLAT);
        return Map.copyOf(phrases);
    }
}
