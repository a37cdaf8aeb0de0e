package dev.zoetrope.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Against {@code torch.nn.init} with seed 7. */
class InitTest {
    private final Map<String, Init> byName = Map.ofEntries(
            Map.entry("normal", Init.normal(0.02)),
            Map.entry("trunc", Init.truncatedNormal(0.02)),
            Map.entry("trunc_cut", Init.truncatedNormal(1, -0.5, 0.5)),
            Map.entry("normal_small", Init.normal(0.02)),
            Map.entry("uniform", Init.uniform(0.037)),
            Map.entry("xavier", Init.xavier()),
            Map.entry("xavier_normal", Init.xavierNormal(1)),
            Map.entry("kaiming", Init.kaimingUniform(0.1)),
            Map.entry("kaiming_normal", Init.kaimingNormal(0)),
            Map.entry("linear.weight", Init.fanIn()),
            Map.entry("conv.weight", Init.fanIn()));

    @Test
    void sameSeedSameBitsAsPyTorch() {
        try (Scope s = Scope.open()) {
            Map<String, Tensor> torch = Safetensors.read(Fixtures.file("init.safetensors"));
            byName.forEach((name, init) -> {
                Tensor expected = torch.get(name);
                try (RandomSource random = RandomSource.of(7)) {
                    assertThat(init.draw(random, expected.shape()).toBytes())
                            .as(name)
                            .isEqualTo(expected.toBytes());
                    if (name.endsWith(".weight")) {
                        String bias = name.replace("weight", "bias");
                        long fanIn = expected.numel() / expected.size(0);
                        assertThat(Init.fanInBias(fanIn)
                                        .draw(random, torch.get(bias).shape())
                                        .toBytes())
                                .as(bias)
                                .isEqualTo(torch.get(bias).toBytes());
                    }
                }
            });
        }
    }
}
