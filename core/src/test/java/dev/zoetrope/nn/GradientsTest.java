package dev.zoetrope.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every layer's gradients in float64 against differences along a random direction, tensor by tensor. */
class GradientsTest {
    private static final double STEP = 1e-6;

    static Stream<Arguments> layers() {
        Stream<Arguments> named = Stream.of(
                layer("Linear", w -> new Linear(w, 4, 3), 2, 5, 4),
                layer("Linear with adapter", GradientsTest::adapted, 2, 5, 4),
                layer("Conv1d", w -> new Conv1d(w, 4, 6, 3, 2, 1, 2, 2, true), 2, 4, 9),
                layer("Conv2d", w -> new Conv2d(w, 4, 6, 3, 2, 1, 2, true), 2, 4, 5, 6),
                layer("Conv3d", w -> Conv3d.cube(w, 2, 3, 3, Conv3d.Past.PADDED), 1, 2, 3, 4, 4),
                layer("Conv3d zeros", w -> Conv3d.cube(w, 2, 3, 3, Conv3d.Past.ZEROS), 1, 2, 3, 4, 4),
                layer("Conv3d first frame", w -> Conv3d.cube(w, 2, 3, 3, Conv3d.Past.FIRST_FRAME), 1, 2, 3, 4, 4),
                layer("ConvTranspose2d", w -> new ConvTranspose2d(w, 3, 2, 4, 2, 1), 2, 3, 4, 5),
                layer("BatchNorm", w -> new BatchNorm(w, 3, 1e-5, .1), 4, 3, 5),
                layer("BatchNorm training", w -> training(new BatchNorm(w, 3, 1e-5, .1)), 4, 3, 5),
                layer("Dropout training", w -> training(new Dropout(.4)), 4, 5),
                layer("LayerNorm", w -> new LayerNorm(w, 6, 1e-6), 3, 6),
                layer("LayerNorm plain", w -> LayerNorm.plain(6, 1e-6), 3, 6),
                layer("RmsNorm", w -> new RmsNorm(w, 6, 1e-6), 3, 6),
                layer("GroupNorm", w -> new GroupNorm(w, 2, 4, 1e-6), 2, 4, 5),
                layer("Attention", w -> Attention.of(w, 6, 2, true, "q", "k", "v", "o"), 2, 4, 6),
                layer("Embedding", w -> indexed(new Embedding(w, 5, 3)), 4),
                layer(
                        "Rotary",
                        w -> x -> Rotary.of(Tensor.arange(6).reshape(3, 2).to(DType.FLOAT64))
                                .halves(x),
                        1,
                        2,
                        3,
                        4));
        return Stream.concat(named, Stream.of(Act.values()).map(a -> layer("Act " + a, w -> a::of, 3, 5)));
    }

    private static Arguments layer(String name, Function<Weights, Module> made, long... shape) {
        return Arguments.of(name, made, shape);
    }

    private static Module adapted(Weights w) {
        Linear linear = new Linear(w.at("query"), 4, 3);
        new Adapters(Lora.Config.of(2, 3, 0, "query"), w, w.at("adapter")).attach(.7);
        return linear;
    }

    private static Module training(Module m) {
        return x -> {
            try (RandomSource random = RandomSource.of(3);
                    TrainingScope training = TrainingScope.open(random)) {
                return m.forward(x);
            }
        };
    }

    /** The table alone: indices have no gradient. */
    private static Module indexed(Embedding e) {
        return x -> e.forward(Tensor.of(new long[] {4, 0, 2, 4}, 4)).mul(x.unsqueeze(-1));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("layers")
    void followDifferences(String name, Function<Weights, Module> made, long[] shape) {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(11);
                Weights w = Weights.draw(random).as(DType.FLOAT64)) {
            Module layer = made.apply(w);
            Map<String, Tensor> inputs = new LinkedHashMap<>(w.named());
            for (Tensor t : inputs.values()) { // away from zeros and ones, where errors hide
                t.addInPlace(random.normal(DType.FLOAT64, t.shape()), .3);
            }
            Tensor x = random.normal(DType.FLOAT64, shape);
            inputs.put("x", x);
            inputs.values().forEach(t -> t.requireGrad(true));
            Tensor y = layer.forward(x);
            Tensor weights = random.normal(DType.FLOAT64, y.shape());
            y.mul(weights).sum().backward();
            inputs.forEach((input, t) -> {
                Tensor direction = random.normal(DType.FLOAT64, t.shape());
                double expected =
                        difference(() -> layer.forward(x).mul(weights).sum().item(), t, direction);
                assertThat(t.grad()).as(input).isNotNull();
                assertThat(t.grad().mul(direction).sum().item())
                        .as(input)
                        .isCloseTo(expected, within(1e-7 * (1 + Math.abs(expected))));
            });
        }
    }

    private interface Loss {
        double value();
    }

    private static double difference(Loss loss, Tensor t, Tensor direction) {
        try (Autograd.Mode off = Autograd.off()) {
            t.addInPlace(direction, STEP);
            double after = loss.value();
            t.addInPlace(direction, -2 * STEP);
            double before = loss.value();
            t.addInPlace(direction, STEP);
            return (after - before) / (2 * STEP);
        }
    }
}
