package dev.zoetrope.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** Who owns a tensor, when its memory goes, and what another thread may do with it. */
class MemoryTest {

    @Test
    @EnabledOnOs(OS.LINUX)
    void hundredThousandOperationsLeaveResidentMemoryFlat() throws IOException {
        try (Tensor weight = RandomSource.of(1).normal(64, 64).requireGrad(true);
                Tensor x = RandomSource.of(2).normal(8, 64)) {
            operations(40_000, x, weight);
            long before = residentKilobytes();
            operations(100_000, x, weight);
            // A handle of about 200 bytes lost by each operation would be 20 MB, a lost result 200 MB.
            assertThat(residentKilobytes() - before).isLessThan(12 * 1024);
        }
    }

    /** Forward, backward and a read: ten operations a round, each round in a scope. */
    private static void operations(int count, Tensor x, Tensor weight) {
        for (int done = 0; done < count; done += 10) {
            if (done % 20_000 == 0) {
                System.gc(); // so that Java's own garbage does not count
            }
            try (Scope s = Scope.open()) {
                Tensor y = x.matmul(weight).gelu().add(x);
                Tensor loss = y.chunk(2, 1).get(0).square().mean();
                loss.backward();
                if (!Double.isFinite(loss.item())) {
                    throw new AssertionError("operation " + done);
                }
                weight.zeroGrad();
                s.keep(y.softmax(-1)).close();
            }
        }
    }

    private static long residentKilobytes() throws IOException {
        System.gc();
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void useAfterCloseNamesTheTensor() {
        Tensor t = Tensor.zeros(2, 3).named("decoder.conv.weight");
        t.close();
        t.close(); // twice is harmless

        assertThat(t.isClosed()).isTrue();
        assertThatThrownBy(t::relu)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("decoder.conv.weight[2, 3]")
                .hasMessageContaining("closed");
        try (Tensor other = Tensor.zeros(2, 3)) {
            assertThatThrownBy(() -> other.add(t)).hasMessageContaining("decoder.conv.weight[2, 3]");
        }
    }

    @Test
    void scopeFreesWhatIsNotKept() {
        Tensor lost;
        Tensor kept;
        Tensor free;
        try (Scope outer = Scope.open()) {
            try (Scope inner = Scope.open()) {
                lost = Tensor.ones(4);
                kept = inner.keep(lost.add(1));
                free = Scope.detach(lost.add(2));
            }
            assertThat(lost.isClosed()).isTrue();
            assertThat(kept.toFloats()).containsOnly(2);
        }
        assertThat(kept.isClosed()).isTrue();
        assertThat(free.toFloats()).containsOnly(3);
        free.close();
    }

    @Test
    void scopesCloseInReverseOrder() {
        Scope outer = Scope.open();
        Scope inner = Scope.open();
        assertThatThrownBy(outer::close).hasMessageContaining("reverse order");
        inner.close();
        outer.close();
    }

    @Test
    void graphSurvivesItsScope() {
        try (Tensor w = Tensor.ones(3).requireGrad(true)) {
            Tensor loss;
            try (Scope s = Scope.open()) {
                loss = s.keep(w.mul(2).square().sum());
            }
            loss.backward();
            try (Tensor gradient = w.grad()) {
                assertThat(gradient).isNotNull();
                assertThat(gradient.toFloats()).containsOnly(8);
            }
            loss.close();
        }
    }

    @Test
    void anyThreadReadsAndOnlyTheOwnerCloses() {
        try (Scope s = Scope.open()) {
            Tensor t = Tensor.full(2, 5).named("shared");

            assertThat(elsewhere(() -> {
                        try (Scope own = Scope.open()) {
                            return t.mul(3).sum().item();
                        }
                    }))
                    .isEqualTo(30);
            assertThatThrownBy(() -> elsewhere(() -> {
                        t.close();
                        return 0.0;
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("shared")
                    .hasMessageContaining("only that thread may move or close it");
            assertThatThrownBy(() -> elsewhere(() -> {
                        s.close();
                        return 0.0;
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("must be closed there");
            assertThat(t.sum().item()).isEqualTo(10);
        }
    }

    private static double elsewhere(java.util.function.Supplier<Double> work) {
        try {
            return CompletableFuture.supplyAsync(work).join();
        } catch (CompletionException e) {
            throw (RuntimeException) e.getCause();
        }
    }
}
