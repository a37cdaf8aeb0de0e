package dev.zoetrope.curation;

import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Optimizer;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Does a core set teach more than as many random rows? Half of a pool of pictures of Carousel are near-copies of a few
 * others, and in a share of the pool the caption names a wrong object. A linear classifier over the built-in CLIP's
 * vectors learns to name the object that a caption says, once from the core set and once from equally many random rows;
 * both are asked about pictures that the pool does not have.
 *
 * <p>Run as a program: {@code CoreSetExperiment [pool [noise [seeds]]]}. It prints both accuracies for several seeds.
 */
public final class CoreSetExperiment {
    private static final int SIDE = 64;
    private static final int OBJECTS = 60;
    private static final int TEST = 600;

    private final List<WorldObject> objects = WorldObjects.first(OBJECTS);
    private final Embed clip;

    private CoreSetExperiment(Embed clip) {
        this.clip = clip;
    }

    public static void main(String[] arguments) {
        int pool = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 3000;
        double noise = arguments.length > 1 ? Double.parseDouble(arguments[1]) : 0.3;
        int seeds = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 5;
        try (Embed clip = Embed.builtIn()) {
            new CoreSetExperiment(clip).run(pool, noise, seeds);
        }
    }

    private record Row(Image picture, int said, int truth) {}

    private void run(int pool, double noise, int seeds) {
        Embeddings test = embeddings(pictures(Split.TEST, TEST, 0, 0));
        int[] truth =
                pictures(Split.TEST, TEST, 0, 0).stream().mapToInt(Row::truth).toArray();
        double[] sums = new double[2];
        for (int seed = 1; seed <= seeds; seed++) {
            List<Row> rows = pictures(Split.TRAIN, pool, noise, seed);
            Embeddings images = embeddings(rows);
            float[][] said = clip.texts(objects.stream()
                    .map(o -> "a picture of " + o.names().get(0).indefinite())
                    .toList());
            float[] texts = new float[rows.size() * images.width()];
            for (int i = 0; i < rows.size(); i++) {
                System.arraycopy(said[rows.get(i).said], 0, texts, i * images.width(), images.width());
            }
            long[] ids = IntStream.range(0, pool).asLongStream().toArray();
            CoreSet core;
            try (Centroids c = new KMeans(40, seed, 2, 30).fit(images.unit())) {
                // The best fitting ones have the right caption; the middle of the clusters adds least.
                core = CoreSet.of(
                        ids,
                        images,
                        Embeddings.of(texts, images.width()),
                        c,
                        new Selection(0.985, Keep.FIRST, new Band(0, 65), new Band(20, 100), pool, seed));
            }
            int[] chosen =
                    Arrays.stream(core.sample()).mapToInt(Math::toIntExact).toArray();
            int s = seed;
            int[] random = IntStream.range(0, pool)
                    .boxed()
                    .sorted((a, b) -> Long.compare(Draw.bits(s, 77, a), Draw.bits(s, 77, b)))
                    .limit(chosen.length)
                    .mapToInt(Integer::intValue)
                    .toArray();
            double[] accuracy = new double[2];
            int[][] sets = {chosen, random};
            for (int i = 0; i < 2; i++) {
                accuracy[i] = accuracy(images, rows, sets[i], test, truth);
                sums[i] += accuracy[i] / seeds;
            }
            System.out.printf(
                    Locale.ROOT,
                    "seed %d: pool %d, left %d -> %d -> %d; wrong captions %.1f %% against %.1f %%; accuracy %.1f %% against %.1f %%%n",
                    seed,
                    pool,
                    core.deduplicated().length,
                    core.afterText().length,
                    core.afterCentroid().length,
                    100 * wrong(rows, chosen),
                    100 * wrong(rows, random),
                    100 * accuracy[0],
                    100 * accuracy[1]);
        }
        System.out.printf(Locale.ROOT, "mean: core set %.1f %%, random %.1f %%%n", 100 * sums[0], 100 * sums[1]);
    }

    private static double wrong(List<Row> rows, int... which) {
        return Arrays.stream(which)
                        .filter(i -> rows.get(i).said != rows.get(i).truth)
                        .count()
                / (double) which.length;
    }

    /** Of a split; the second half are noisy copies of a tenth of the first, and some captions name another object. */
    private List<Row> pictures(Split split, int n, double noise, int seed) {
        World world = new World(
                seed + 1,
                Options.training()
                        .split(split)
                        .levels(Level.L1)
                        .objects(objects)
                        .styles(Style.SHADED, Style.FLAT)
                        .frames(1)
                        .canvases(new World.Canvas(SIDE, SIDE))
                        .poses(Options.Poses.ANY));
        List<Row> r = new ArrayList<>();
        int distinct = noise == 0 ? n : n / 2;
        for (int i = 0; i < n; i++) {
            boolean copy = i >= distinct;
            int from = copy ? (int) (Draw.unit(seed, 1, i) * distinct / 10) : i;
            Scene scene = world.scene(from);
            int truth = objects.indexOf(scene.sprites().get(0).object());
            byte[] pixels = new byte[scene.bytes()]; // [3, H, W]
            scene.render(pixels);
            Image picture = image(pixels, copy ? 4 : 0, Draw.bits(seed, 2, i));
            boolean mistaken = Draw.unit(seed, 3, i) < noise;
            int said = mistaken ? (int) (Draw.unit(seed, 4, i) * OBJECTS) : truth;
            r.add(new Row(picture, said, truth));
        }
        return r;
    }

    /** @param grain the most that a value changes */
    private static Image image(byte[] planes, int grain, long seed) {
        float[] v = new float[planes.length];
        for (int i = 0; i < v.length; i++) {
            int noise = grain == 0 ? 0 : (int) (Draw.unit(seed, 5, i) * (2 * grain + 1)) - grain;
            v[i] = Math.max(0, Math.min(255, Byte.toUnsignedInt(planes[i]) + noise)) / 255f;
        }
        return Image.ofPlanes(v, SIDE, SIDE);
    }

    private Embeddings embeddings(List<Row> rows) {
        float[] all = new float[rows.size() * clip.width()];
        for (int i = 0; i < rows.size(); i += 100) {
            float[][] part = clip.images(rows.subList(i, Math.min(rows.size(), i + 100)).stream()
                    .map(Row::picture)
                    .toList());
            for (int k = 0; k < part.length; k++) {
                System.arraycopy(part[k], 0, all, (i + k) * clip.width(), clip.width());
            }
        }
        return Embeddings.of(all, clip.width());
    }

    /** Softmax regression by AdamW, the same steps for both. */
    private double accuracy(Embeddings images, List<Row> rows, int[] train, Embeddings test, int... truth) {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(1)) {
            Tensor x = images.rows(train).tensor().mul(10);
            Tensor y = Tensor.of(
                    Arrays.stream(train).mapToLong(i -> rows.get(i).said).toArray(), train.length);
            Tensor weight = Scope.detach(random.normal(OBJECTS, images.width()).mul(0.01))
                    .requireGrad(true);
            Tensor bias = Scope.detach(Tensor.zeros(OBJECTS)).requireGrad(true);
            try (Optimizer o = new Optimizer(
                    Map.of("weight", weight, "bias", bias), new Optimizer.AdamW(0.02, 0.9, 0.999, 1e-8, 0.01))) {
                for (int step = 0; step < 300; step++) {
                    try (Scope inner = Scope.open()) {
                        Functional.crossEntropy(Functional.linear(x, weight, bias), y)
                                .backward();
                        o.step();
                        o.zeroGrad();
                    }
                }
            }
            long[] answered = Functional.linear(test.tensor().mul(10), weight.detach(), bias.detach())
                    .argmax(-1)
                    .toLongs();
            weight.close();
            bias.close();
            return IntStream.range(0, truth.length)
                            .filter(i -> answered[i] == truth[i])
                            .count()
                    / (double) truth.length;
        }
    }
}
