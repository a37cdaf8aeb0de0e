package dev.zoetrope.training.autoencoder;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * How different two pictures look, arXiv:1801.03924: weighted distances of the features of a convolutional network with
 * VGG16's plan, each of unit length over its channels.
 */
public final class Lpips implements AutoCloseable {
    private static final float[] SHIFT = {-.030f, -.088f, -.188f};
    private static final float[] SCALE = {.458f, .448f, .450f};
    private static final double EPS = 1e-10;

    /**
     * @param channels of each group of convolutions
     * @param convolutions of each group
     */
    public record Config(List<Integer> channels, List<Integer> convolutions) {
        public Config {
            channels = List.copyOf(channels);
            convolutions = List.copyOf(convolutions);
            Check.equal(channels.size(), convolutions.size(), "length of channels", "of convs");
        }

        public static Config of(Json j) {
            return new Config(
                    list(j.get("channels", new int[] {64, 128, 256, 512, 512})),
                    list(j.get("convs", new int[] {2, 2, 3, 3, 3})));
        }

        private static List<Integer> list(int... values) {
            List<Integer> r = new ArrayList<>();
            for (int v : values) {
                r.add(v);
            }
            return r;
        }
    }

    private final Weights weights;
    private final List<List<Module>> groups = new ArrayList<>();
    private final List<Conv2d> weighings = new ArrayList<>();

    public Lpips(Config c, Weights w) {
        weights = w;
        int width = 3;
        for (int g = 0; g < c.channels.size(); g++) {
            List<Module> layers = new ArrayList<>();
            if (g > 0) {
                layers.add(x -> Functional.maxPool2d(x, 2, 2, 0));
            }
            for (int i = 0; i < c.convolutions.get(g); i++) {
                layers.add(new Conv2d(
                        w.at("slice" + (g + 1)).at(i), i == 0 ? width : c.channels.get(g), c.channels.get(g), 3, 1, 1));
                layers.add(Tensor::relu);
            }
            width = c.channels.get(g);
            groups.add(layers);
            weighings.add(new Conv2d(w.at("lin" + g), width, 1, 1, 1, 0, 1, false));
        }
    }

    public static Lpips load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Lpips(Config.of(json), w));
    }

    /**
     * Distances by group, {@code [B, groups]}, whose sum is the distance.
     *
     * @param a {@code [B, 3, H, W]} in -1..1
     * @param b like a
     */
    public Tensor layers(Tensor a, Tensor b) {
        try (Scope s = Scope.open()) {
            List<Tensor> r = new ArrayList<>();
            Tensor x = normalised(a);
            Tensor y = normalised(b);
            for (int g = 0; g < groups.size(); g++) {
                x = Steps.run(x, groups.get(g));
                y = Steps.run(y, groups.get(g));
                Tensor difference = unit(x).sub(unit(y)).square();
                r.add(weighings.get(g).forward(difference).mean(1, 2, 3));
            }
            return s.keep(Tensor.stack(1, r));
        }
    }

    /** {@code [B]}. */
    public Tensor distance(Tensor a, Tensor b) {
        try (Scope s = Scope.open()) {
            return s.keep(layers(a, b).sum(1));
        }
    }

    private static Tensor normalised(Tensor x) {
        return x.sub(Tensor.of(SHIFT, 1, 3, 1, 1)).div(Tensor.of(SCALE, 1, 3, 1, 1));
    }

    private static Tensor unit(Tensor x) {
        return x.div(x.square().sum(true, 1).sqrt().add(EPS));
    }

    @Override
    public void close() {
        weights.close();
    }
}
