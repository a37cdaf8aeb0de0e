package dev.zoetrope.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Engine;
import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

class BenchTest {
    private static final Bench.Options ONE =
            new Bench.Options(List.of("dit-xl2-block"), DType.FLOAT32, "float32", 1, 0);

    @Test
    void aLineOfJsonForEachMeasurement() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Bench.run(ONE, new PrintStream(bytes, true, StandardCharsets.UTF_8));

        Json line = Json.parse("line", bytes.toString(StandardCharsets.UTF_8));
        assertThat(line.require("name")).isEqualTo("dit-xl2-block");
        assertThat(line.require("dtype")).isEqualTo("float32");
        assertThat(line.requireInt("threads")).isEqualTo(Engine.threads());
        assertThat(line.get("seconds_median", 0.)).isPositive();
        assertThat(line.get("seconds_min", 0.)).isPositive();
    }

    /** As many parameters as the class that is timed beside it has. */
    @Test
    void modelsHaveTheSizesOfTheReference() {
        assertThat(parameters(Dit.Config.xl2())).isEqualTo(749_826_464);
        assertThat(parameters(Dit.Config.b2())).isEqualTo(147_439_904);
        assertThat(parameters(w -> new ConditionalUnet(ConditionalUnet.Config.sd1(), w)))
                .isEqualTo(859_520_964);
        assertThat(parameters(w -> new AutoencoderKl(AutoencoderKl.Config.sd1(), w)))
                .isEqualTo(83_653_863);
    }

    private static long parameters(Dit.Config c) {
        return parameters(w -> new Dit(c, w));
    }

    private static long parameters(Function<Weights, ?> model) {
        try (Weights w = Weights.record()) {
            assertThat(model.apply(w)).isNotNull();
            return w.named().values().stream().mapToLong(t -> t.numel()).sum();
        }
    }

    @Test
    void anUnknownNameListsWhatThereIs() {
        assertThatThrownBy(
                        () -> Bench.run(new Bench.Options(List.of("dit"), DType.FLOAT32, "float32", 1, 0), System.out))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("'dit'")
                .hasMessageContaining("dit-b2-train");
    }
}
