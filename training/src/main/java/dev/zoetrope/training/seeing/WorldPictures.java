package dev.zoetrope.training.seeing;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.world.Facts;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.LongStream;

/** Pictures, by default of one object on a plain ground, with what they show. */
public final class WorldPictures {
    private static final long SEED = 1;
    private static final int TRIES = 4; // scenes drawn for one place of a batch whose facts are taken already
    private static final long FIRST_REPEATED = 999_999_996; // a split has a milliard scenes

    private final List<WorldObject> objects;
    private final Options options;
    private final int side;
    private final boolean heldOut;

    private WorldPictures(List<WorldObject> objects, Options options, int side, boolean heldOut) {
        this.objects = objects;
        this.options = options;
        this.side = side;
        this.heldOut = heldOut;
    }

    /**
     * @param world the recipe's {@code world}: objects by name, or the first so many of them; styles; levels
     * @param side of the pictures in pixels
     */
    public static WorldPictures of(Json world, int side) {
        List<String> names = world.get("objects", List.of());
        List<WorldObject> objects = names.isEmpty()
                ? WorldObjects.first(world.get("first", WorldObjects.all().size()))
                : WorldObjects.named(names);
        List<Style> styles = some(world, "styles", List.of(Style.values()), List.of("shaded", "flat"));
        List<Level> levels = some(world, "levels", List.of(Level.values()), List.of("l1"));
        return of(objects, styles.toArray(Style[]::new), levels.toArray(Level[]::new), side);
    }

    static WorldPictures of(List<WorldObject> objects, Style[] styles, int side) {
        return of(objects, styles, new Level[] {Level.L1}, side);
    }

    private static WorldPictures of(List<WorldObject> objects, Style[] styles, Level[] levels, int side) {
        Options options = Options.training()
                .levels(levels)
                .objects(objects)
                .styles(styles)
                .frames(1)
                .canvases(new World.Canvas(side, side))
                .poses(Options.Poses.ANY);
        boolean heldOut =
                List.of(styles).contains(Style.FLAT) && objects.stream().anyMatch(o -> Split.heldOut(o, Style.FLAT));
        return new WorldPictures(objects, options, side, heldOut);
    }

    private static <E extends Enum<E>> List<E> some(Json world, String key, List<E> all, List<String> absent) {
        return world.get(key, absent).stream()
                .map(name -> all.stream()
                        .filter(e -> e.name().equalsIgnoreCase(name))
                        .findFirst()
                        .orElseThrow(() -> world.unsupported(key, all.toString().toLowerCase(Locale.ROOT))))
                .toList();
    }

    public List<WorldObject> objects() {
        return objects;
    }

    /** What there is to be tested on: pairs of object and style that training shows, and those that it does not, if any. */
    public List<Split.Side> sides() {
        return heldOut ? List.of(Split.Side.SEEN, Split.Side.HELD_OUT) : List.of(Split.Side.SEEN);
    }

    public World training() {
        return new World(SEED, options);
    }

    /** Scenes that training never draws, with pairs of object and style that it shows, or with those that it does not. */
    public World test(Split.Side pairs) {
        return new World(SEED, options.split(Split.TEST).pairs(pairs));
    }

    /** Scenes of a range of numbers. */
    public static List<Scene> scenes(World world, long first, int n) {
        return LongStream.range(first, first + n).mapToObj(world::scene).toList();
    }

    /** Scenes of one batch, as far as possible with different facts: equal ones would count as wrong for each other. */
    public static List<Scene> distinct(World world, long place, int batch) {
        Set<Facts> taken = new HashSet<>();
        List<Scene> r = new ArrayList<>();
        for (int i = 0; i < batch; i++) {
            long number = (place + i) * TRIES % FIRST_REPEATED;
            Scene scene = world.scene(number);
            for (int k = 1; k < TRIES && taken.contains(Facts.of(scene)); k++) {
                scene = world.scene(number + k);
            }
            taken.add(Facts.of(scene));
            r.add(scene);
        }
        return r;
    }

    /** {@code [B, 3, H, W]} in -1..1. */
    public Tensor pixels(List<Scene> scenes) {
        int size = 3 * side * side;
        byte[] all = new byte[scenes.size() * size];
        byte[] one = new byte[size];
        for (int i = 0; i < scenes.size(); i++) {
            Check.equal(scenes.get(i).bytes(), size, "bytes of a scene", "bytes of a picture");
            scenes.get(i).render(one);
            System.arraycopy(one, 0, all, i * size, size);
        }
        try (Scope s = Scope.open()) {
            return s.keep(
                    VideoTensors.fromBytes(all, scenes.size(), 1, side, side).squeeze(2));
        }
    }

    /** Which of the objects each scene shows, {@code [B]} INT64. */
    public Tensor labels(List<Scene> scenes) {
        long[] r = scenes.stream().mapToLong(s -> objects.indexOf(object(s))).toArray();
        return Tensor.of(r, r.length);
    }

    public static WorldObject object(Scene scene) {
        return scene.sprites().get(0).object();
    }
}
