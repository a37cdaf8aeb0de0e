package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.sora.Bucket;
import dev.zoetrope.training.sora.LatentPool;
import dev.zoetrope.training.sora.Vocabulary;
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
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Pictures of Carousel with one object each, whose class the object is. Scenes never repeat. */
final class WorldData implements PictureData {

    private final World world;
    private final World validation;
    private final List<WorldObject> objects;
    private final Shape shape;
    private final int pool;
    private final int uses;

    WorldData(Json j, Json train, long seed, Shape shape) {
        this.shape = shape;
        List<String> names = j.get("objects", List.of());
        objects = names.isEmpty()
                ? WorldObjects.first(j.get("first", WorldObjects.all().size()))
                : WorldObjects.named(names);
        Style[] styles = j.get("styles", List.of("shaded")).stream()
                .map(s -> style(j, s))
                .toArray(Style[]::new);
        String poses = j.get("poses", "any");
        Check.oneOf(poses, "poses", "any", "centred");
        Options options = Options.training()
                .levels(Level.L1)
                .objects(objects)
                .styles(styles)
                .frames(1)
                .poses(Options.Poses.valueOf(poses.toUpperCase(Locale.ROOT)))
                .canvases(canvas());
        world = new World(seed, options);
        validation = new World(seed, options.split(Split.VALIDATION));
        pool = train.get("pool", 2048);
        uses = train.get("uses", 8);
    }

    private static Style style(Json j, String name) {
        for (Style s : Style.values()) {
            if (s.name().equalsIgnoreCase(name)) {
                return s;
            }
        }
        throw new UserError(j.name() + ": styles are shaded and flat, not '" + name + "'");
    }

    private World.Canvas canvas() {
        return new World.Canvas(shape.width(), shape.height());
    }

    @Override
    public Shape shape() {
        return shape;
    }

    @Override
    public List<String> classes() {
        return objects.stream().map(WorldObject::name).toList();
    }

    @Override
    public Set<String> words() {
        return Vocabulary.words();
    }

    @Override
    public Batch batch(Trainer.Share share) {
        long first = share.number() * shape.batch();
        return batch(LongStream.range(first, first + shape.batch())
                .mapToObj(world::scene)
                .toList());
    }

    @Override
    public Batch shown(int count) {
        return batch(LongStream.range(0, count).mapToObj(validation::scene).toList());
    }

    @Override
    public Latents latents(UnaryOperator<Tensor> encoder) {
        Bucket bucket = new Bucket(1, canvas(), 1, shape.batch(), EnumSet.allOf(Motion.class));
        LatentPool all = new LatentPool(world, bucket, clips -> pictures(clips, encoder), pool, uses);
        return new Latents() {
            @Override
            public Batch batch(Trainer.Share share) {
                LatentPool.Batch b = all.batch(share.number());
                return described(b.latents(), b.scenes(), (int) b.pass());
            }

            @Override
            public void close() {
                all.close();
            }
        };
    }

    private static Tensor pictures(Tensor clips, UnaryOperator<Tensor> encoder) {
        try (Scope s = Scope.open()) {
            return s.keep(encoder.apply(clips.squeeze(2)));
        }
    }

    private Batch batch(List<Scene> scenes) {
        try (Scope s = Scope.open()) {
            return described(s.keep(rendered(scenes)), scenes, 0);
        }
    }

    private static Tensor rendered(List<Scene> scenes) {
        Scene first = scenes.get(0);
        int bytes = first.bytes();
        byte[] all = new byte[bytes * scenes.size()];
        IntStream.range(0, scenes.size()).forEach(i -> {
            byte[] one = new byte[bytes];
            scenes.get(i).render(one);
            System.arraycopy(one, 0, all, i * bytes, bytes);
        });
        return VideoTensors.fromBytes(all, scenes.size(), 1, first.height(), first.width())
                .squeeze(2);
    }

    /** @param variant of the wording, which differs from scene to scene too */
    private Batch described(Tensor values, List<Scene> scenes, int variant) {
        List<String> captions = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        for (Scene scene : scenes) {
            captions.add(scene.caption(Caption.Length.FULL, variant));
            labels.add(objects.indexOf(scene.sprites().get(0).object()));
        }
        return new Batch(values, captions, labels);
    }

    @Override
    public void close() {
        // holds nothing
    }
}
