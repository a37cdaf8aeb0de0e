package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

class ParityTest {
    /** The cases of this repository, and those below the folders of the property {@code zoetrope.parity}. */
    @TestFactory
    Stream<DynamicTest> everyCaseAnswersAsItsReference() {
        List<Path> folders = new ArrayList<>(List.of(Path.of("cases")));
        Stream.of(System.getProperty("zoetrope.parity", "").split(File.pathSeparator))
                .filter(f -> !f.isBlank())
                .map(Path::of)
                .forEach(folders::add);
        return Parity.find(folders).stream()
                .map(file -> DynamicTest.dynamicTest(name(file), () -> assertThat(Parity.run(file))
                        .isNotEmpty()
                        .filteredOn(line -> !line.passed())
                        .isEmpty()));
    }

    @TestFactory
    Stream<DynamicTest> everyManifestFitsItsModel() {
        return Parity.below(List.of(Path.of("manifests")), ".json").stream()
                .map(file -> DynamicTest.dynamicTest(
                        name(file),
                        () -> assertThat(Manifest.read(file).check()).allMatch(Line::passed)));
    }

    private static String name(Path file) {
        Path folder = file.toAbsolutePath().getParent();
        return folder.getParent().getFileName() + "/" + folder.getFileName();
    }

    @Test
    void anUnknownEntryFails(@TempDir Path folder) throws IOException {
        Path c = Files.createDirectories(folder.resolve("some/new"));
        Files.writeString(
                c.resolve("case.json"),
                "{\"system\": \"some\", \"case\": \"new\", \"entry\": \"no.such\", \"outputs\": "
                        + "{\"y\": {\"shape\": [1], \"dtype\": \"float32\", \"tolerance\": 1}}}");
        Safetensors.write(c.resolve("outputs.safetensors"), Map.of());
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        Parity.Summary summary = Parity.run(List.of(folder), new PrintStream(printed, true, StandardCharsets.UTF_8));
        assertThat(summary.ok()).isFalse();
        assertThat(printed.toString(StandardCharsets.UTF_8))
                .isEqualToNormalizingNewlines("FAIL some/new y unknown entry no.such\n0 passed, 1 failed\n");
    }

    @Test
    void aFolderWithoutCasesIsRefused(@TempDir Path folder) {
        assertThatThrownBy(() -> Parity.find(List.of(folder)))
                .isInstanceOf(UserError.class)
                .hasMessageContaining(folder.toString());
    }

    @Test
    void errorsAreRelativeToTheLargestExpectedValue() {
        Case.Output output = new Case.Output("y", "float32", 0.01);
        try (Scope s = Scope.open()) {
            Tensor expected = Tensor.of(new float[] {0.001f, -100}, 2);
            assertThat(line(output, expected, Tensor.of(new float[] {0.9f, -100}, 2))
                            .passed())
                    .isTrue();
            assertThat(line(output, expected, Tensor.of(new float[] {1.2f, -100}, 2))
                            .passed())
                    .isFalse();
            assertThat(line(output, expected, Tensor.of(new float[] {Float.NaN, -100}, 2))
                            .passed())
                    .isFalse();
            assertThat(line(output, expected, Tensor.of(new float[] {0, -100}, 1, 2))
                            .detail())
                    .isEqualTo("shape [1, 2], expected [2]");
            Case.Output whole = new Case.Output("n", "int64", 0);
            assertThat(line(whole, Tensor.of(new long[] {3}, 1), Tensor.of(new long[] {3}, 1))
                            .passed())
                    .isTrue();
            assertThat(line(whole, Tensor.of(new long[] {3}, 1), Tensor.of(new long[] {4}, 1))
                            .passed())
                    .isFalse();
            assertThat(line(whole, Tensor.of(new long[] {3}, 1), Tensor.of(new float[] {3}, 1))
                            .passed())
                    .isFalse();
        }
    }

    private static Line line(Case.Output output, Tensor expected, Tensor answer) {
        return Comparison.of("some/case", output, expected, answer);
    }
}
