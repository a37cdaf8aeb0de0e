package dev.zoetrope.world;

import dev.zoetrope.tensor.UserError;
import java.util.List;
import java.util.Set;

/**
 * What scenes to draw. Immutable: every method with an argument gives a copy with that one thing changed, and refuses a value
 * that no scene can have.
 */
public final class Options {
    private Split split = Split.TRAIN;
    private Set<Level> levels = Set.of(Level.L1);
    private List<WorldObject> objects = WorldObjects.all();
    private Set<Motion> motions = Set.of(Motion.values());
    private Set<Style> styles = Set.of(Style.values());
    private Set<Ground> grounds = Set.of(Ground.values());
    private List<Integer> frames = List.of(8);
    private List<World.Canvas> canvases = List.of(new World.Canvas(64, 64));
    private double fps = 8;
    private Split.Side combos = Split.Side.SEEN;
    private Split.Side pairs = Split.Side.SEEN;
    private boolean heldOutNames;
    private Poses poses = Poses.ANY;
    private int crowd = 2;

    /** Which poses a picture (one frame) shows. */
    public enum Poses {
        /** Near the middle, upright, as large as the object of a clip that stands still. */
        CENTRED,
        /** A random instant of a random motion. */
        ANY
    }

    private Options() {}

    private Options(Options other) {
        split = other.split;
        levels = other.levels;
        objects = other.objects;
        motions = other.motions;
        styles = other.styles;
        grounds = other.grounds;
        frames = other.frames;
        canvases = other.canvases;
        fps = other.fps;
        combos = other.combos;
        pairs = other.pairs;
        heldOutNames = other.heldOutNames;
        poses = other.poses;
        crowd = other.crowd;
    }

    /** Training clips of one object on a plain ground: 8 frames of 64x64, all objects, both styles, nothing held out shown. */
    public static Options training() {
        return new Options();
    }

    /** Range of scene numbers, training by default. The facts held out stay as {@link #combos} and {@link #pairs} say. */
    public Options split(Split value) {
        Options copy = new Options(this);
        copy.split = value;
        return copy;
    }

    /** Levels to draw from, in the ratio of their shares. */
    public Options levels(Level... values) {
        Options copy = new Options(this);
        copy.levels = Set.of(some(values, "levels"));
        return copy;
    }

    /** Objects to choose from. */
    public Options objects(List<WorldObject> values) {
        Options copy = new Options(this);
        copy.objects = List.of(some(values.toArray(WorldObject[]::new), "objects"));
        return copy;
    }

    /** Motions to choose from. */
    public Options motions(Motion... values) {
        Options copy = new Options(this);
        copy.motions = Set.of(some(values, "motions"));
        return copy;
    }

    /** Styles to choose from. */
    public Options styles(Style... values) {
        Options copy = new Options(this);
        copy.styles = Set.of(some(values, "styles"));
        return copy;
    }

    /** Grounds to choose from; levels L1 and L2 use the plain ones, L3 the drawn ones. */
    public Options grounds(Ground... values) {
        Options copy = new Options(this);
        copy.grounds = Set.of(some(values, "grounds"));
        return copy;
    }

    /** Numbers of frames to choose from; 1 is a picture. */
    public Options frames(Integer... values) {
        Options copy = new Options(this);
        copy.frames = List.of(some(values, "frames"));
        for (int t : copy.frames) {
            if (t < 1) {
                throw new UserError("world: clips of " + t + " frames, at least 1 is needed");
            }
        }
        return copy;
    }

    /** Canvases to choose from. */
    public Options canvases(World.Canvas... values) {
        Options copy = new Options(this);
        copy.canvases = List.of(some(values, "canvases"));
        return copy;
    }

    /** Frames a second. */
    public Options fps(double value) {
        if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
            throw new UserError("world: " + value + " frames a second, must be above 0");
        }
        Options copy = new Options(this);
        copy.fps = value;
        return copy;
    }

    /** Which pairs of object and motion, see {@link Split#heldOut(WorldObject, Motion)}. */
    public Options combos(Split.Side value) {
        Options copy = new Options(this);
        copy.combos = value;
        return copy;
    }

    /** Which pairs of object and style, see {@link Split#heldOut(WorldObject, Style)}. */
    public Options pairs(Split.Side value) {
        Options copy = new Options(this);
        copy.pairs = value;
        return copy;
    }

    /** Whether captions call objects by the names that training never uses, instead of the others. */
    public Options heldOutNames(boolean value) {
        Options copy = new Options(this);
        copy.heldOutNames = value;
        return copy;
    }

    /** Which poses pictures show. */
    public Options poses(Poses value) {
        Options copy = new Options(this);
        copy.poses = value;
        return copy;
    }

    /** How many objects levels L2 and L3 have at most: 2 by default, up to 5 for segmentation. */
    public Options crowd(int value) {
        if (value < 2 || value > 5) {
            throw new UserError("world: crowds of " + value + " objects, 2 to 5 are possible");
        }
        Options copy = new Options(this);
        copy.crowd = value;
        return copy;
    }

    private static <T> T[] some(T[] values, String what) {
        if (values.length == 0) {
            throw new UserError("world: no " + what + " to choose from, at least one is needed");
        }
        return values;
    }

    public Split split() {
        return split;
    }

    public Set<Level> levels() {
        return levels;
    }

    public List<WorldObject> objects() {
        return objects;
    }

    public Set<Motion> motions() {
        return motions;
    }

    public Set<Style> styles() {
        return styles;
    }

    public Set<Ground> grounds() {
        return grounds;
    }

    public List<Integer> frames() {
        return frames;
    }

    public List<World.Canvas> canvases() {
        return canvases;
    }

    public double fps() {
        return fps;
    }

    public Split.Side combos() {
        return combos;
    }

    public Split.Side pairs() {
        return pairs;
    }

    public boolean heldOutNames() {
        return heldOutNames;
    }

    public Poses poses() {
        return poses;
    }

    public int crowd() {
        return crowd;
    }
}
