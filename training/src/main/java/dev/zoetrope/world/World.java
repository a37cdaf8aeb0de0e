package dev.zoetrope.world;

import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Carousel, the built-in world. A scene follows from (seed, index, options) alone, the same on every machine; it can be asked
 * for in any order and from any thread.
 */
public final class World {
    private static final long LAYOUT = 1;
    private static final long GROUND = 2;
    private static final long SPRITE = 100;
    private static final double LEAST_CONTRAST = .6;
    private static final int TRIES = 50;

    private final long seed;
    private final Options options;
    private final List<Cast> casts;
    private final List<Cast> castsUnderCamera;
    private final Map<Cast, Set<Ground>> grounds = new HashMap<>();

    /** An object and what it may do. */
    private record Cast(WorldObject object, Style style, Motion motion) {}

    /**
     * A canvas.
     *
     * @param width in pixels, a multiple of 8
     * @param height in pixels, a multiple of 8
     */
    public record Canvas(int width, int height) {

        public Canvas {
            if (width < 16 || height < 16 || width % 8 != 0 || height % 8 != 0) {
                throw new UserError(
                        "world: canvas " + width + "x" + height + ", both must be multiples of 8 and at least 16");
            }
        }
    }

    public World(long seed, Options options) {
        this.seed = seed;
        this.options = options;
        casts = casts(options.motions());
        Set<Motion> calm = EnumSet.of(Motion.STILL, Motion.SPIN, Motion.BOUNCE, Motion.SWAY);
        calm.retainAll(options.motions());
        castsUnderCamera = calm.isEmpty() ? List.of() : casts(calm);
        for (Cast cast : casts) {
            grounds.computeIfAbsent(cast, this::contrasting);
        }
    }

    public Options options() {
        return options;
    }

    /** The same world under other options. */
    public World with(Options other) {
        return new World(seed, other);
    }

    /** Scene of this index, 0 or above, below the size of its split. */
    public Scene scene(long index) {
        if (index < 0 || index >= Split.VALIDATION.first()) {
            throw new UserError(
                    "world: scene " + index + ", a split has scenes 0 to " + (Split.VALIDATION.first() - 1));
        }
        long number = options.split().first() + index;
        Draws layout = new Draws(seed, number, LAYOUT);
        Level level = level(layout.unit());
        int frames = layout.of(options.frames());
        Canvas canvas = layout.of(options.canvases());
        int count =
                switch (level) {
                    case L1 -> 1;
                    case L2 -> 2 + layout.below(options.crowd() - 1);
                    case L3 -> 1 + layout.below(options.crowd());
                };
        boolean moving = layout.unit() < .5 && level == Level.L3 && frames > 1 && !castsUnderCamera.isEmpty();
        Camera camera = Camera.values()[moving ? 1 + layout.below(Camera.values().length - 1) : 0];
        List<Camera.View> views = new ArrayList<>(frames);
        for (int k = 0; k < frames; k++) {
            views.add(camera.view(frames == 1 ? .5 : (double) k / (frames - 1)));
        }
        List<Cast> cast = cast(number, count, camera == Camera.FIXED ? casts : castsUnderCamera);
        Relation relation = count == 2 ? Relation.values()[layout.below(Relation.values().length)] : null;
        List<Integer> layers = shuffled(layout, count);
        List<Scene.Sprite> sprites = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            sprites.add(sprite(number, i, count, cast.get(i), relation, layers.get(i), canvas, views));
        }
        Scene.Backdrop backdrop = backdrop(number, level, cast, camera, views);
        return new Scene(
                seed,
                number,
                level,
                canvas.width,
                canvas.height,
                frames,
                options.fps(),
                backdrop,
                sprites,
                relation,
                options.heldOutNames());
    }

    private Level level(double u) {
        Level[] all =
                Arrays.stream(Level.values()).filter(options.levels()::contains).toArray(Level[]::new);
        double sum = Arrays.stream(all).mapToInt(Level::share).sum();
        double passed = 0;
        for (Level level : all) {
            passed += level.share() / sum;
            if (u < passed) {
                return level;
            }
        }
        return all[all.length - 1];
    }

    /** Different objects for one scene. */
    private List<Cast> cast(long number, int count, List<Cast> from) {
        List<Cast> chosen = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            Draws draws = new Draws(seed, number, SPRITE + 2 * i);
            Cast next = draws.of(from);
            for (int tries = 0; tries < TRIES && contains(chosen, next.object); tries++) {
                next = draws.of(from);
            }
            chosen.add(next);
        }
        return chosen;
    }

    private static boolean contains(List<Cast> chosen, WorldObject object) {
        return chosen.stream().anyMatch(cast -> cast.object.equals(object));
    }

    private Scene.Sprite sprite(
            long number,
            int i,
            int count,
            Cast cast,
            @Nullable Relation relation,
            int layer,
            Canvas canvas,
            List<Camera.View> views) {
        Draws draws = new Draws(seed, number, SPRITE + 2 * i + 1);
        double shorter = Math.min(canvas.width, canvas.height);
        Size size = count == 1 ? Size.BIG : Size.values()[draws.below(Size.values().length)];
        Motion.Room room;
        if (count == 1) {
            double edge = draws.between(.58, .68) * shorter;
            room = new Motion.Room(
                    canvas.width / 2. + draws.between(-.05, .05) * shorter,
                    canvas.height / 2. + draws.between(-.05, .05) * shorter,
                    .62 * (canvas.width - edge),
                    .62 * (canvas.height - edge),
                    edge,
                    .3 * shorter,
                    .9 * shorter);
        } else {
            room = share(draws, i, relation, size.edge(draws.unit()) * shorter, canvas);
        }
        int frames = views.size();
        boolean picture = frames == 1;
        double instant = draws.unit();
        Motion motion = picture && options.poses() == Options.Poses.CENTRED ? Motion.STILL : cast.motion;
        List<Pose> track = new ArrayList<>(frames);
        for (int k = 0; k < frames; k++) {
            double p = picture ? instant : (double) k / (frames - 1);
            Pose pose = motion.pose(p, picture ? 1 : (frames - 1.) / frames, room);
            track.add(views.get(k).see(pose, canvas.width, canvas.height));
        }
        return new Scene.Sprite(cast.object, cast.style, motion, size, layer, track);
    }

    /** The part of the canvas in which one of several objects moves; small enough that a relation holds in every frame. */
    private static Motion.Room share(Draws draws, int i, @Nullable Relation relation, double edge, Canvas canvas) {
        double shorter = Math.min(canvas.width, canvas.height);
        double x = .5;
        double y = .5;
        double reachX = .45 * (canvas.width - edge);
        double reachY = .45 * (canvas.height - edge);
        if (relation == null) {
            x = draws.between(.22, .78);
            y = draws.between(.22, .78);
            reachX = .15 * canvas.width;
            reachY = .15 * canvas.height;
        } else if (relation == Relation.LEFT_OF || relation == Relation.RIGHT_OF) {
            x = (relation == Relation.LEFT_OF) == (i == 0) ? .27 : .73;
            reachX = .12 * canvas.width;
        } else {
            y = (relation == Relation.ABOVE) == (i == 0) ? .27 : .73;
            reachY = .12 * canvas.height;
        }
        return new Motion.Room(
                x * canvas.width + draws.between(-.04, .04) * shorter,
                y * canvas.height + draws.between(-.04, .04) * shorter,
                reachX,
                reachY,
                edge,
                .6 * edge,
                1.4 * edge);
    }

    private Scene.Backdrop backdrop(long number, Level level, List<Cast> cast, Camera camera, List<Camera.View> views) {
        Draws draws = new Draws(seed, number, GROUND);
        boolean plain = level != Level.L3;
        List<Ground> choices = new ArrayList<>(plain ? Ground.allPlain() : Ground.allDrawn());
        choices.retainAll(options.grounds());
        if (choices.isEmpty()) {
            throw new UserError("world: level " + level + " needs " + (plain ? "plain" : "drawn")
                    + " grounds, the options have only " + options.grounds());
        }
        List<Ground> clear = new ArrayList<>(choices);
        if (plain) {
            cast.forEach(one -> clear.retainAll(grounds.getOrDefault(one, Set.of())));
        }
        Ground ground = draws.of(clear.isEmpty() ? choices : clear);
        float[] tones = new float[3];
        for (int c = 0; c < 3; c++) {
            double jitter = draws.between(-.03, .03);
            double base = plain ? (ground.rgb() >> (16 - 8 * c) & 0xff) / 255. : 1;
            tones[c] = (float) Math.max(0, plain ? Math.min(1, base + jitter) : base + jitter);
        }
        return new Scene.Backdrop(ground, tones[0], tones[1], tones[2], (int) draws.bits(), camera, views);
    }

    private List<Cast> casts(Set<Motion> motions) {
        List<Cast> casts = new ArrayList<>();
        for (WorldObject object : options.objects()) {
            for (Style style : Style.values()) {
                for (Motion motion : Motion.values()) {
                    if (options.styles().contains(style)
                            && motions.contains(motion)
                            && options.pairs().admits(Split.heldOut(object, style))
                            && options.combos().admits(Split.heldOut(object, motion))) {
                        casts.add(new Cast(object, style, motion));
                    }
                }
            }
        }
        if (casts.isEmpty() && motions.equals(options.motions())) {
            throw new UserError("world: of " + options.objects().size() + " objects, styles "
                    + options.styles()
                    + " and motions " + motions + " nothing is left with combos " + options.combos() + " and pairs "
                    + options.pairs() + "; allow more of them");
        }
        return List.copyOf(casts);
    }

    private Set<Ground> contrasting(Cast cast) {
        Set<Ground> clear = EnumSet.noneOf(Ground.class);
        for (Ground ground : Ground.allPlain()) {
            if (stands(cast.object, cast.style, ground)) {
                clear.add(ground);
            }
        }
        return clear;
    }

    private static final Map<Style, boolean[][]> CLEAR = new EnumMap<>(Style.class);

    /** Whether an object can be made out on a plain ground; scenes are drawn only where it can ("a banana on yellow" is not). */
    public static boolean stands(WorldObject object, Style style, Ground ground) {
        synchronized (CLEAR) {
            return CLEAR.computeIfAbsent(style, World::contrasts)[object.id()][ground.ordinal()];
        }
    }

    private static boolean[][] contrasts(Style style) {
        boolean[][] clear = new boolean[WorldObjects.all().size()][Ground.values().length];
        for (WorldObject object : WorldObjects.all()) {
            for (Ground ground : Ground.allPlain()) {
                int rgb = ground.rgb();
                double contrast = Atlas.texture(object, style)
                        .contrast((rgb >> 16) / 255f, (rgb >> 8 & 0xff) / 255f, (rgb & 0xff) / 255f);
                clear[object.id()][ground.ordinal()] = contrast >= LEAST_CONTRAST;
            }
        }
        return clear;
    }

    private static List<Integer> shuffled(Draws draws, int n) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            order.add(draws.below(i + 1), i);
        }
        return order;
    }
}
