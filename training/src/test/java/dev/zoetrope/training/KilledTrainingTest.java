package dev.zoetrope.training;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A training that is killed with -9 again and again ends at the weights of one that never was. */
class KilledTrainingTest {
    private static final int KILLS = 4;

    private static final String RECIPE =
            """
            system: sora
            seed: 3
            world: {first: 4}
            buckets:
              - {frames: 4, size: 16x16, batch: 2}
            model:
              autoencoder:  {latent_channels: 4, width: 8, bottleneck_width: 8, encoder_blocks: 1, decoder_blocks: 1}
              text_encoder: {width: 16, layers: 1, heads: 2, queries: 3}
              transformer:  {hidden_size: 32, layers: 1, heads: 2}
            autoencoder: {steps: 12, groups: 2, save_every: 2, sample_every: 6}
            text: {steps: 12, batch: 4, save_every: 2}
            video: {steps: 60, pool: 4, uses: 2, save_every: 2, sample_every: 30, sample_steps: 1}
            """;

    @Test
    void endsAtTheSameWeights(@TempDir Path folder) throws Exception {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), RECIPE);
        Path straight = folder.resolve("straight");
        Path killed = folder.resolve("killed");
        assertThat(train(recipe, straight, Integer.MAX_VALUE)).as("exit").isZero();

        Random random = new Random(11);
        for (int i = 0; i < KILLS; i++) {
            int exit = train(recipe, killed, 10 + random.nextInt(10));
            assertThat(exit).as("killed, not finished or failed").isEqualTo(128 + 9);
        }
        assertThat(train(recipe, killed, Integer.MAX_VALUE)).isZero();

        for (String part : List.of("autoencoder", "text_encoder", "transformer")) {
            String weights = "model/" + part + "/model.safetensors";
            assertThat(killed.resolve(weights)).as(part).hasSameBinaryContentAs(straight.resolve(weights));
        }
        try (var files = Files.walk(killed)) {
            assertThat(files.filter(f -> f.getFileName().toString().contains(".tmp")))
                    .isEmpty();
        }
    }

    /** Trains in a process of its own and kills it somewhere within a step, after {@code steps} steps of this process. */
    private static int train(Path recipe, Path run, int steps) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                Child.class.getName(),
                recipe.toString(),
                run.toString()));
        Process process = new ProcessBuilder(command)
                .redirectError(run.resolveSibling(run.getFileName() + ".log").toFile())
                .start();
        try (BufferedReader out = process.inputReader()) {
            int seen = 0;
            while (seen < steps && out.readLine() != null) {
                seen++;
            }
            if (seen == steps) {
                process.destroyForcibly();
            }
            return process.waitFor();
        }
    }

    static final class Child {
        public static void main(String[] args) throws IOException {
            boolean done = Training.run(
                    Path.of(args[0]),
                    Map.of(),
                    Path.of(args[1]),
                    Files.exists(Path.of(args[1])),
                    new TrainingListener() {
                        @Override
                        public boolean step(long step, long steps) {
                            System.out.println(step);
                            System.out.flush();
                            return true;
                        }
                    });
            System.exit(done ? 0 : 3);
        }
    }
}
