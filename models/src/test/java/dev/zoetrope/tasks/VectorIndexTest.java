package dev.zoetrope.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VectorIndexTest {
    private static final int WIDTH = 1152; // of SigLIP so400m, above Lucene's usual limit

    @TempDir
    private Path folder;

    private final Random random = new Random(3);

    private float[] unit() {
        float[] v = new float[WIDTH];
        double square = 0;
        for (int i = 0; i < WIDTH; i++) {
            v[i] = (float) random.nextGaussian();
            square += v[i] * v[i];
        }
        for (int i = 0; i < WIDTH; i++) {
            v[i] /= (float) Math.sqrt(square);
        }
        return v;
    }

    @Test
    void whatIsCommittedIsFoundAgainAndTheRestNeverWas() throws IOException {
        float[] wanted = unit();
        try (VectorIndex index = VectorIndex.open(folder, "a")) {
            assertThat(index.find(wanted, 3)).isEmpty();
            try (VectorIndex.Changes c = index.change()) {
                for (int i = 0; i < 50; i++) {
                    c.put("other " + i, "1", unit());
                }
                c.put("wanted", "1", unit());
                c.put("wanted", "2", wanted);
                c.commit();
                c.remove("wanted");
            }
        }
        try (VectorIndex index = VectorIndex.open(folder, "a")) {
            assertThat(index.size()).isEqualTo(51);
            assertThat(index.stamps()).containsEntry("wanted", "2");
            VectorIndex.Found best = index.find(wanted, 5).get(0);
            assertThat(best.key()).isEqualTo("wanted");
            assertThat(best.product()).isBetween(0.9999, 1.0001);
        }
    }

    @Test
    void anotherOwnersIndexAndADamagedOneAreRefused() throws IOException {
        try (VectorIndex index = VectorIndex.open(folder, "a");
                VectorIndex.Changes c = index.change()) {
            c.put("k", "1", unit());
            c.commit();
        }
        assertThatThrownBy(() -> VectorIndex.open(folder, "b"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("made by a, not by b");
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file :
                    files.filter(f -> f.toString().contains("segments_")).toList()) {
                Files.write(file, new byte[] {1, 2, 3});
            }
        }
        assertThatThrownBy(() -> VectorIndex.open(folder, "a"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("remove it");
    }
}
