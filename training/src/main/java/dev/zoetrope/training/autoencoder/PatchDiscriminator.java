package dev.zoetrope.training.autoencoder;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.BatchNorm;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Tells real patches of pictures from made ones, arXiv:1611.07004: {@code [B, 3, H, W]} to one logit for each patch,
 * {@code [B, 1, h, w]}. Its norms go by the batch, so it is called for real and made pictures apart, in a training scope.
 */
public final class PatchDiscriminator implements Module, AutoCloseable {
    private static final double SLOPE = 0.2;
    private static final int WIDEST = 8;
    private static final int KERNEL = 4;

    /** @param layers between the first convolution and the last */
    public record Config(int baseChannels, int layers) {
        public Config {
            Check.positive(baseChannels, "base_channels");
            Check.positive(layers, "layers");
        }

        public static Config of(Json j) {
            return new Config(j.get("base_channels", 64), j.get("layers", 3));
        }
    }

    private final Weights weights;
    private final List<Module> layers = new ArrayList<>();

    public PatchDiscriminator(Config c, Weights published) {
        weights = published;
        Weights w = published.initialised((name, init) -> initial(name, init)).at("main");
        int width = c.baseChannels;
        layers.add(new Conv2d(w.at(0), 3, width, KERNEL, 2, 1));
        layers.add(x -> x.leakyRelu(SLOPE));
        int at = 2;
        for (int i = 1; i <= c.layers; i++) {
            int next = c.baseChannels * Math.min(1 << i, WIDEST);
            layers.add(new Conv2d(w.at(at), width, next, KERNEL, i < c.layers ? 2 : 1, 1, 1, false));
            layers.add(new BatchNorm(w.at(at + 1), next, 1e-5, 0.1));
            layers.add(x -> x.leakyRelu(SLOPE));
            width = next;
            at += 3;
        }
        layers.add(new Conv2d(w.at(at), width, 1, KERNEL, 1, 1));
    }

    public static PatchDiscriminator load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new PatchDiscriminator(Config.of(json), w));
    }

    /** Narrow around zero, norms around one. */
    private static Init initial(String name, Init init) {
        if (!name.endsWith("weight")) {
            return name.endsWith("bias") ? Init.zeros() : init;
        }
        return (random, shape) -> shape.length > 1
                ? Init.normal(0.02).draw(random, shape)
                : Init.normal(0.02).draw(random, shape).add(1);
    }

    public Weights weights() {
        return weights;
    }

    @Override
    public Tensor forward(Tensor pictures) {
        try (Scope s = Scope.open()) {
            return s.keep(Steps.run(pictures, layers));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
