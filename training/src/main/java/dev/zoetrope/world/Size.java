package dev.zoetrope.world;

/** How big an object is drawn; the word stands in captions of two objects. */
public enum Size {
    SMALL("small", .24, .30),
    MEDIUM("", .34, .40),
    BIG("big", .44, .50);

    private final String word;
    private final double from;
    private final double to;

    Size(String word, double from, double to) {
        this.word = word;
        this.from = from;
        this.to = to;
    }

    /** The adjective, empty for the middle size. */
    public String word() {
        return word;
    }

    /** Edge of the picture in parts of the canvas's shorter side, for u of 0..1. */
    double edge(double u) {
        return from + (to - from) * u;
    }
}
