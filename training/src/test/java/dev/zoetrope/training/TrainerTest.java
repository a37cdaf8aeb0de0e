package dev.zoetrope.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.ProcessGroup;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainerTest {
    private static final int STEPS = 6;

    @TempDir
    Path folder;

    private long stopAfter = Long.MAX_VALUE;

    private final List<Double> losses = new ArrayList<>();
    private final List<String> messages = new ArrayList<>();

    private final TrainingListener listener = new TrainingListener() {
        @Override
        public boolean step(long step, long steps) {
            return step < stopAfter;
        }

        @Override
        public void report(long step, Map<String, Double> values) {
            losses.add(values.get("loss"));
        }

        @Override
        public void message(String text) {
            messages.add(text);
        }
    };

    /** Fits a line to rows that follow from the number of a share; returns the weights at the end. */
    private byte[] fit(String run, int rows, int steps, String settings, boolean resume, int from, int to) {
        Recipe recipe = Recipe.of("test", "{system: test}", Map.of());
        Json j = Json.parse(
                "test",
                "{\"steps\": " + steps
                        + ", \"rate\": 0.1, \"warmup\": 1, \"report_every\": 1, \"save_every\": 2, \"ema_decay\": 0.9"
                        + settings + "}");
        losses.clear();
        try (RandomSource random = RandomSource.of(3);
                Weights w = Weights.draw(random);
                RunFolder open = RunFolder.open(folder.resolve(run), recipe, resume, listener, ProcessGroup.ALONE)) {
            Linear line = new Linear(w, 3, 1);
            Trainer.Objective objective = (share, draws, metrics) -> {
                float[] x = new float[rows * 3];
                float[] y = new float[rows];
                for (int i = 0; i < rows; i++) {
                    long row = share.number() * rows + i;
                    for (int k = 0; k < 3; k++) {
                        x[i * 3 + k] = (float) Math.sin(row * 3 + k);
                    }
                    y[i] = share.step() >= from && share.step() < to ? Float.NaN : (float) Math.cos(row);
                }
                return line.forward(Tensor.of(x, rows, 3))
                        .squeeze(1)
                        .sub(Tensor.of(y, rows))
                        .square()
                        .mean();
            };
            new Trainer("line", Trainer.Settings.of(j), w.named(), List.of(), objective, open, listener)
                    .run((step, board) -> {});
            return w.tensor("weight", 1, 3).toBytes();
        }
    }

    private byte[] fit(String run, int rows, String settings) {
        return fit(run, rows, STEPS, settings, false, 0, 0);
    }

    @Test
    void sharesOfWorkersAndOfOneAfterTheOtherAreOneLargeBatch() {
        fit("one", 8, ", \"workers\": 1");
        List<Double> one = List.copyOf(losses);
        for (String split : List.of(
                ", \"workers\": 4", ", \"workers\": 2, \"accumulate\": 2", ", \"workers\": 1, \"accumulate\": 4")) {
            byte[] first = fit("a" + split.hashCode(), 2, split);
            for (int i = 0; i < STEPS; i++) {
                assertThat(losses.get(i)).as(split).isCloseTo(one.get(i), within(1e-5));
            }
            assertThat(fit("b" + split.hashCode(), 2, split)).as(split).isEqualTo(first);
        }
    }

    @Test
    void aStepWithoutALossIsSkippedAndGoingOnKnowsIt() {
        byte[] straight = fit("straight", 2, STEPS, "", false, 1, 3);
        assertThat(messages)
                .anySatisfy(m -> assertThat(m).contains("step 1: the loss is NaN, not finite; the step is skipped"));
        stopAfter = 4;
        fit("stopped", 2, STEPS, "", false, 1, 3);
        stopAfter = Long.MAX_VALUE;
        assertThat(fit("stopped", 2, STEPS, "", true, 1, 3)).isEqualTo(straight);
    }

    @Test
    void manyStepsWithoutALossEndTheRun() {
        assertThatThrownBy(() -> fit("broken", 2, 20, "", false, 2, 20))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("10 steps in a row had no finite loss and gradient, the last was 11")
                .hasMessageContaining("--resume");
    }
}
