package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FastTest {
    private record Net(Conv2d conv, LayerNorm norm, Linear linear) {
        Net(Weights w) {
            this(
                    new Conv2d(w.at("conv"), 3, 32, 3, 1, 1),
                    new LayerNorm(w.at("norm"), 32, 1e-5),
                    new Linear(w.at("linear"), 32, 48));
        }

        Tensor forward(Tensor x) {
            return linear.forward(norm.forward(conv.forward(x).permute(0, 2, 3, 1)));
        }
    }

    @Test
    void onlyProductsAreNarrowAndAnswersStayClose(@TempDir Path dir) {
        Path file = dir.resolve("model.safetensors");
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(2)) {
            Tensor x = random.normal(2, 3, 16, 16);
            Tensor exact;
            try (Weights drawn = Weights.draw(random)) {
                exact = new Net(drawn).forward(x);
                Safetensors.write(file, drawn.all());
            }
            try (Checkpoint c = Checkpoint.open(dir)) {
                Weights w;
                try (Fast fast = Fast.in(DType.BFLOAT16)) {
                    w = Weights.load(c);
                    assertThat(fast.chosen()).isEqualTo("bfloat16");
                }
                Tensor narrow = new Net(w).forward(x);
                assertThat(w.named().get("linear.weight").dtype()).isEqualTo(DType.BFLOAT16);
                assertThat(w.named().get("conv.weight").dtype()).isEqualTo(DType.BFLOAT16);
                assertThat(w.named().get("norm.weight").dtype()).isEqualTo(DType.FLOAT32);
                assertThat(narrow.dtype()).isEqualTo(DType.FLOAT32);
                double error = Math.sqrt(narrow.sub(exact).square().sum().item()
                        / exact.square().sum().item());
                assertThat(error).isBetween(1e-6, .01);
                w.close();

                try (Weights after = Weights.load(c)) {
                    assertThat(after.product("linear.weight", Init.zeros(), 48, 32)
                                    .dtype())
                            .isEqualTo(DType.FLOAT32);
                }
            }
        }
    }
}
