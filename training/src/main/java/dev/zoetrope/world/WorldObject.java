package dev.zoetrope.world;

import java.util.List;

/**
 * A thing that can be in a scene.
 *
 * @param id position in the list of objects, 0..119; also its cell in the atlases and its class in classifiers
 * @param names what it is called: first its own name, then synonyms; the last one is held out of training
 * @param group one of ten kinds of things
 * @param code code points of the emoji, in hex joined by "-"
 */
public record WorldObject(int id, List<Name> names, String group, String code) {

    public WorldObject {
        names = List.copyOf(names);
    }

    /** Its own name, unique in the world. */
    public String name() {
        return names.get(0).text();
    }

    /** The names that captions for training use. */
    public List<Name> trainedNames() {
        return names.subList(0, names.size() - 1);
    }

    /** The name that no caption for training uses. */
    public Name heldOutName() {
        return names.get(names.size() - 1);
    }

    @Override
    public String toString() {
        return name();
    }

    /** How a name takes articles and verbs. */
    public enum Number {
        /** A thing: "a fox is". */
        ONE,
        /** Things: "grapes are". */
        MANY,
        /** A substance: "corn is". */
        MASS
    }

    /**
     * A name.
     *
     * @param text words in lower case
     * @param number its grammar
     */
    public record Name(String text, Number number) {

        /** With the indefinite article where the name takes one: "a fox", "an owl", "grapes". */
        public String indefinite() {
            return number == Number.ONE ? article(text) + " " + text : text;
        }

        /** The verb that agrees with it. */
        public String is() {
            return number == Number.MANY ? "are" : "is";
        }
    }

    /** "a" or "an", by the sound that the words start with. */
    static String article(String words) {
        if (words.startsWith("hour")) {
            return "an";
        }
        boolean vowel = "aeiou".indexOf(words.charAt(0)) >= 0;
        boolean spokenYou = words.startsWith("uni") || words.startsWith("ufo");
        return vowel && !spokenYou ? "an" : "a";
    }
}
