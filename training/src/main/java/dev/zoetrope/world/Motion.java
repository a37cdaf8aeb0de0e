package dev.zoetrope.world;

import java.util.List;
import java.util.Locale;

/** How an object moves over a clip. Paths are drawn over the clip's own length, so the same words fit 4 frames and 32. */
public enum Motion {
    STILL("standing still", "not moving", "staying in place", "keeping still"),
    LEFT("moving left", "going left", "sliding to the left", "moving to the left"),
    RIGHT("moving right", "going right", "sliding to the right", "moving to the right"),
    UP("moving up", "rising", "going up", "moving upward"),
    DOWN("moving down", "falling", "going down", "moving downward"),
    GROW("growing", "getting bigger", "becoming larger", "getting larger"),
    SHRINK("shrinking", "getting smaller", "becoming smaller", "becoming tiny"),
    SPIN("spinning", "turning around", "rotating", "spinning around"),
    BOUNCE("bouncing", "bouncing up and down", "jumping up and down", "hopping"),
    SWAY("swaying", "rocking", "swinging from side to side", "tilting back and forth");

    private final List<String> wordings;

    Motion(String... wordings) {
        this.wordings = List.of(wordings);
    }

    /** Four ways to say it, each fits after the noun and after "is". */
    public List<String> wordings() {
        return wordings;
    }

    /** The name in hashed split keys. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The room in which an object moves, in pixels.
     *
     * @param x centre of the path
     * @param y centre of the path
     * @param reachX how far it goes to either side
     * @param reachY how far it goes up and down
     * @param size edge of the picture
     * @param smallest edge at which growing starts
     * @param largest edge at which growing ends
     */
    record Room(double x, double y, double reachX, double reachY, double size, double smallest, double largest) {}

    /**
     * The pose at instant p of 0..1. StrictMath, because a scene must be the same bit for bit on every machine.
     *
     * @param turn share of a full turn that lies between p = 0 and p = 1: (T - 1) / T, so that a spinning clip loops
     */
    Pose pose(double p, double turn, Room room) {
        double x = room.x;
        double y = room.y;
        double size = room.size;
        double angle = 0;
        switch (this) {
            case STILL -> {}
            case LEFT -> x -= (2 * p - 1) * room.reachX;
            case RIGHT -> x += (2 * p - 1) * room.reachX;
            case UP -> y -= (2 * p - 1) * room.reachY;
            case DOWN -> y += (2 * p - 1) * room.reachY;
            case GROW -> size = room.smallest + (room.largest - room.smallest) * p;
            case SHRINK -> size = room.largest - (room.largest - room.smallest) * p;
            case SPIN -> angle = 2 * Math.PI * p * turn;
            case BOUNCE -> y += room.reachY - 2 * room.reachY * Math.abs(StrictMath.sin(2 * Math.PI * p));
            case SWAY -> angle = .5 * StrictMath.sin(2 * Math.PI * p);
        }
        return new Pose((float) x, (float) y, (float) size, (float) angle);
    }
}
