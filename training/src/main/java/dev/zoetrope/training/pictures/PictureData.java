package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.sora.Bucket;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Motion;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Single pictures of Carousel with one object each: what there is to see, its class, and what is said of it. */
final class PictureData {
    private static final Pattern SIZE = Pattern.compile("(\\d+)x(\\d+)");
    private static final int MOST_WORKERS = 64;

    private final World world;
    private final World validation;
    private final List<WorldObject> objects;
    private final int batch;
    private final World.Canvas canvas;

    private PictureData(long seed, Options options, List<WorldObject> objects, int batch, World.Canvas canvas) {
        this.world = new World(seed, options);
        this.validation = new World(seed, options.split(Split.VALIDATION));
        this.objects = objects;
        this.batch = batch;
        this.canvas = canvas;
    }

    /**
     * @param j the recipe's {@code data}: {@code size, batch}, which {@code objects} in which {@code styles}, and whether
     *     their {@code poses} are centred or any
     */
    static PictureData of(Json j, long seed) {
        Matcher size = SIZE.matcher(j.get("size", "32x32"));
        if (!size.matches()) {
            throw new UserError(j.name() + ": size " + j.get("size", "") + " is not WIDTHxHEIGHT, such as 32x32");
        }
        World.Canvas canvas = new World.Canvas(Integer.parseInt(size.group(1)), Integer.parseInt(size.group(2)));
        String poses = j.get("poses", "any");
        Check.oneOf(poses, "poses", "any", "centred");
        List<String> names = j.get("objects", List.of());
        List<WorldObject> objects = names.isEmpty()
                ? WorldObjects.first(j.get("first", WorldObjects.all().size()))
                : WorldObjects.named(names);
        Style[] styles = j.get("styles", List.of("shaded")).stream()
                .map(s -> Style.valueOf(s.toUpperCase(Locale.ROOT)))
                .toArray(Style[]::new);
        int batch = j.get("batch", 32);
        Check.positive(batch, "batch");
        Options options = Options.training()
                .levels(Level.L1)
                .objects(objects)
                .styles(styles)
                .frames(1)
                .poses(Options.Poses.valueOf(poses.toUpperCase(Locale.ROOT)))
                .canvases(canvas);
        return new PictureData(seed, options, objects, batch, canvas);
    }

    int width() {
        return canvas.width();
    }

    int height() {
        return canvas.height();
    }

    int classes() {
        return objects.size();
    }

    /** Encoded pictures, used several times each, as the recipe's {@code train} says. */
    LatentPool pool(UnaryOperator<Tensor> encoder, Json train) {
        Bucket bucket = new Bucket(1, canvas, 1, batch, EnumSet.allOf(Motion.class));
        return new LatentPool(world, bucket, encoder, train.get("pool", 2048), train.get("uses", 8));
    }

    /** A worker's share of a step; scenes never repeat. */
    List<Scene> scenes(long step, int worker) {
        long first = (step * MOST_WORKERS + worker) * batch;
        List<Scene> r = new ArrayList<>(batch);
        for (int i = 0; i < batch; i++) {
            r.add(world.scene(first + i));
        }
        return r;
    }

    /** Scenes that training never draws. */
    List<Scene> unseen(int count) {
        return LongStream.range(0, count).mapToObj(validation::scene).toList();
    }

    /** {@code [B, 3, H, W]} in -1..1. */
    static Tensor pixels(List<Scene> scenes) {
        Scene first = scenes.get(0);
        int bytes = first.bytes();
        byte[] all = new byte[bytes * scenes.size()];
        IntStream.range(0, scenes.size()).forEach(i -> {
            byte[] one = new byte[bytes];
            scenes.get(i).render(one);
            System.arraycopy(one, 0, all, i * bytes, bytes);
        });
        try (Scope s = Scope.open()) {
            Tensor clips = VideoTensors.fromBytes(all, scenes.size(), 1, first.height(), first.width());
            return s.keep(clips.squeeze(2));
        }
    }

    /** The class of each, {@code [B]} INT64: the place of its object in the list of objects. */
    Tensor labels(List<Scene> scenes) {
        long[] r = scenes.stream()
                .mapToLong(s -> objects.indexOf(s.sprites().get(0).object()))
                .toArray();
        return Tensor.of(r, r.length);
    }

    static String caption(Scene scene, int variant) {
        return scene.caption(Caption.Length.FULL, variant);
    }
}
