package dev.zoetrope.world;

import java.util.List;
import java.util.Locale;

/** The sound of a group of objects: ten fixed spectra. */
public enum Timbre {
    ENGINE("vehicles", 1, .9, .8, .7, .6, .5, .4, .3),
    HORN("mammals", .4, 1, .7, .3, .1, 0, 0, 0),
    WHISTLE("birds and insects", 1, 0, 0, 0, 0, 0, 0, 0),
    ORGAN("sea animals", 1, .7, 0, .5, 0, 0, 0, .4),
    CLARINET("fruit", 1, 0, .75, 0, .5, 0, .25, 0),
    CELLO("vegetables", .5, .3, 1, .2, .1, .4, .1, 0),
    FLUTE("food", 1, .35, .1, 0, 0, 0, 0, 0),
    BELL("sports and toys", .7, 0, 0, 1, 0, 0, .6, 0),
    TRUMPET("things", .2, .4, .7, 1, .9, .6, .3, .1),
    VOICE("faces", .3, .6, .2, 0, .3, .8, .5, 0);

    private final String group;
    private final double[] partials;

    Timbre(String group, double... partials) {
        this.group = group;
        double sum = 0;
        for (double partial : partials) {
            sum += partial;
        }
        this.partials = new double[partials.length];
        for (int h = 0; h < partials.length; h++) {
            this.partials[h] = partials[h] / sum;
        }
    }

    /** The timbre of the object's group. */
    public static Timbre of(WorldObject object) {
        return List.of(values()).stream()
                .filter(timbre -> timbre.group.equals(object.group()))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("world: group " + object.group() + " has no timbre"));
    }

    /** Its name in answers. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** How many partials a tone has. */
    static int count() {
        return ENGINE.partials.length;
    }

    /** Strength of the partial at (h + 1) times the pitch; all sum to 1. */
    double partial(int h) {
        return partials[h];
    }
}
