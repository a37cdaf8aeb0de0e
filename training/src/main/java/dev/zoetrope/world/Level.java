package dev.zoetrope.world;

/** How much is in a scene. */
public enum Level {
    /** One object on a plain ground. */
    L1(60),
    /** Two objects that stand in a relation, on a plain ground. */
    L2(25),
    /** One or two objects on a drawn ground, under a camera that may move. */
    L3(15);

    private final int share;

    Level(int share) {
        this.share = share;
    }

    /** Share of training scenes, in percent, when all levels are drawn. */
    public int share() {
        return share;
    }
}
