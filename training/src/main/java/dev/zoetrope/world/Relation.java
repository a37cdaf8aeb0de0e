package dev.zoetrope.world;

/** Where the first object of a pair stands, seen from the second; true in every frame. */
public enum Relation {
    LEFT_OF("left of"),
    RIGHT_OF("right of"),
    ABOVE("above"),
    BELOW("below");

    private final String words;

    Relation(String words) {
        this.words = words;
    }

    public String words() {
        return words;
    }
}
