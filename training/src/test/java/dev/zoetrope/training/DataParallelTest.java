package dev.zoetrope.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.tensor.ProcessGroup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two processes train as one does with twice the batch, and one goes on from what two have saved. */
class DataParallelTest {
    private static final String RECIPE =
            """
            system: vit
            seed: 1
            world: {styles: [shaded]}
            model: {image_size: 16, patch_size: 8, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32}
            training: {steps: 8, workers: 1, batch: 8, rate: 1.0e-2, warmup: 2, report_every: 1, save_every: 4, ema_decay: 0.9}
            """;

    private static final Map<String, String> HALF = Map.of("training.batch", "4");

    @Test
    void twoProcessesAreOneWithTwiceTheBatch(@TempDir Path folder) throws Exception {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        Losses one = new Losses(8);
        Training.run(recipe, Map.of(), folder.resolve("one"), false, one);

        List<Double> first = two(recipe, folder, 4); // both stop when one of them wants to
        Losses rest = new Losses(8);
        Training.run(recipe, Map.of(), folder.resolve("two"), true, rest);

        first.addAll(rest.values);
        assertThat(first).hasSize(8);
        for (int i = 0; i < 8; i++) {
            assertThat(first.get(i)).as("loss of step %d", i).isCloseTo(one.values.get(i), within(1e-5));
        }
    }

    private static List<Double> two(Path recipe, Path folder, int stopAfter) throws Exception {
        List<Process> all = new ArrayList<>();
        for (int rank = 0; rank < 2; rank++) {
            ProcessBuilder b = new ProcessBuilder(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx512m",
                    "-cp",
                    System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                    Child.class.getName(),
                    recipe.toString(),
                    folder.resolve("two").toString(),
                    folder.resolve("meeting").toString(),
                    Integer.toString(rank),
                    Integer.toString(rank == 1 ? stopAfter : 8));
            all.add(b.redirectError(ProcessBuilder.Redirect.INHERIT).start());
        }
        List<Double> losses = new ArrayList<>();
        try (var out = all.get(0).inputReader()) {
            out.lines()
                    .filter(l -> !l.startsWith("[Gloo]"))
                    .map(Double::valueOf)
                    .forEach(losses::add);
        }
        for (Process p : all) {
            assertThat(p.waitFor()).isEqualTo(3);
        }
        return losses;
    }

    private static final class Losses implements TrainingListener {
        private final List<Double> values = new ArrayList<>();
        private final int stopAfter;

        Losses(int stopAfter) {
            this.stopAfter = stopAfter;
        }

        @Override
        public boolean step(long step, long steps) {
            return step < stopAfter;
        }

        @Override
        public void report(long step, Map<String, Double> report) {
            values.add(report.get("loss"));
        }
    }

    static final class Child {
        public static void main(String[] args) {
            Losses losses = new Losses(Integer.parseInt(args[4]));
            try (ProcessGroup group =
                    ProcessGroup.join(Path.of(args[2]), "127.0.0.1", Integer.parseInt(args[3]), 2, 120)) {
                boolean done = Training.run(Path.of(args[0]), HALF, Path.of(args[1]), false, losses, group);
                losses.values.forEach(System.out::println);
                System.out.flush();
                System.exit(done ? 0 : 3);
            }
        }
    }
}
