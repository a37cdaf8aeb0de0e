package dev.zoetrope.training.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/** What of Carousel the model learns from, in buckets of equal length and size. */
public final class SoraData {
    private final long seed;
    private final List<WorldObject> objects;
    private final Style[] styles;
    private final List<Bucket> buckets;
    private final double weights;

    private SoraData(long seed, List<WorldObject> objects, Style[] styles, List<Bucket> buckets) {
        this.seed = seed;
        this.objects = objects;
        this.styles = styles;
        this.buckets = buckets;
        this.weights = buckets.stream().mapToDouble(Bucket::weight).sum();
    }

    /** @param j the recipe's {@code world} and {@code buckets} */
    public static SoraData of(Json j, long seed) {
        Json world = j.at("world");
        List<String> names = world.get("objects", List.of());
        List<WorldObject> objects = names.isEmpty()
                ? WorldObjects.first(world.get("first", WorldObjects.all().size()))
                : WorldObjects.named(names);
        Style[] styles = world.get("styles", List.of("shaded")).stream()
                .map(s -> Style.valueOf(s.toUpperCase(Locale.ROOT)))
                .toArray(Style[]::new);
        return new SoraData(
                seed,
                objects,
                styles,
                j.list("buckets").stream().map(Bucket::of).toList());
    }

    /** The same with all of Carousel's objects. */
    public SoraData withAllObjects() {
        return new SoraData(seed, WorldObjects.all(), styles, buckets);
    }

    /** Whom the clips show. */
    public List<WorldObject> objects() {
        return objects;
    }

    /** Clips of equal length and size. */
    public List<Bucket> buckets() {
        return buckets;
    }

    /** One object on a plain ground, training split, nothing held out shown. */
    public World world(Bucket b) {
        return new World(
                seed,
                Options.training()
                        .levels(Level.L1)
                        .objects(objects)
                        .styles(styles)
                        .motions(b.motions().toArray(Motion[]::new))
                        .frames(b.frames())
                        .canvases(b.canvas()));
    }

    /** The bucket of a step: drawn by weight, from the step's number alone. */
    public int bucketOf(long step) {
        double u = new Random(step * 0x9E3779B97F4A7C15L + seed).nextDouble() * weights;
        for (int i = 0; i < buckets.size(); i++) {
            u -= buckets.get(i).weight();
            if (u < 0) {
                return i;
            }
        }
        return buckets.size() - 1;
    }

    /** A wording of a scene: mostly the whole fact, sometimes less or more. */
    static String caption(Scene scene, long variant, Random random) {
        double u = random.nextDouble();
        return caption(
                scene,
                u < .1 ? Caption.Length.SHORT : u < .2 ? Caption.Length.RECAPTION : Caption.Length.FULL,
                variant,
                random);
    }

    static String caption(Scene scene, Caption.Length length, long variant, Random random) {
        return Paraphrase.of(scene.caption(length, (int) (variant & 0xffff)), scene, random);
    }

    /** Wordings of scenes; each becomes empty with the given probability. */
    public static List<String> captions(List<Scene> scenes, long variant, double dropped, Random random) {
        List<String> r = new ArrayList<>(scenes.size());
        for (Scene scene : scenes) {
            boolean none = random.nextDouble() < dropped;
            String caption = caption(scene, variant, random);
            r.add(none ? "" : caption);
        }
        return r;
    }
}
