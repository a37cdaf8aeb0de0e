package dev.zoetrope.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Parquet;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The commands that look at pictures, on small models of the reference cases. */
class SeeingTest {
    private static final Path CASES = Path.of("../parity/cases");
    private static final String VIT = CASES.resolve("vit/predict/model").toString();
    private static final String CLIP = CASES.resolve("clip/zero_shot/model").toString();

    @TempDir
    private Path folder;

    private Path red;

    private record Outcome(int code, String out, String err) {
        List<String> lines() {
            return out.lines().toList();
        }
    }

    private static Outcome execute(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine line = Zoetrope.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
        int code = line.execute(arguments);
        return new Outcome(code, out.toString(), err.toString());
    }

    @BeforeEach
    void pictures() {
        red = folder.resolve("in/red.png");
        Images.write(Image.filled(50, 40, 0xff0000), red);
        Images.write(Image.filled(30, 60, 0x0000ff), folder.resolve("in/deep/blue.png"));
    }

    @Test
    void aFolderIsClassifiedAtAnyDepthAndWhatIsBrokenDoesNotStopTheRest() throws IOException {
        Files.write(folder.resolve("in/empty.jpg"), new byte[0]);
        byte[] bomb = Files.readAllBytes(red);
        ByteBuffer.wrap(bomb).putInt(16, 20_000).putInt(20, 20_000);
        Files.write(folder.resolve("in/bomb.png"), bomb);

        Outcome o = execute("classify", folder.resolve("in").toString(), "--model", VIT, "--top", "2", "--json");

        assertThat(o.code).isEqualTo(2);
        assertThat(o.lines()).hasSize(4);
        assertThat(o.lines().stream().filter(l -> l.contains("\"probability\"")))
                .hasSize(2)
                .anyMatch(l -> l.contains("blue.png"))
                .anyMatch(l -> l.contains("red.png"));
        assertThat(o.err).contains("empty.jpg", "the file is empty", "bomb.png");
    }

    @Test
    void aPatternGoesAcrossFolders() {
        Outcome o = execute("classify", folder + "/in/**.png", "--model", VIT, "--top", "1");
        assertThat(o.code).isZero();
        assertThat(o.lines()).hasSize(4); // a line for the picture and one for its class
    }

    @Test
    void zeroShotGivesEveryLabelItsShare() {
        Outcome o = execute("zero-shot", red.toString(), "--labels", "cat, dog,truck", "--ensemble", "--model", CLIP);
        assertThat(o.code).isZero();
        double sum = o.lines().stream()
                .skip(1)
                .mapToDouble(l -> Double.parseDouble(l.strip().split(" ")[0]))
                .sum();
        assertThat(sum).isBetween(99.9, 100.1);
        assertThat(o.out).contains("cat", "dog", "truck");
    }

    @Test
    void whatMakesNoClassesIsRefused() {
        assertThat(execute("zero-shot", red.toString(), "--labels", "cat,,dog", "--model", CLIP).err)
                .contains("is an empty name");
        assertThat(execute("zero-shot", red.toString(), "--labels", "", "--model", CLIP).err)
                .contains("the labels are empty");
        assertThat(execute("zero-shot", red.toString(), "--labels", "cat", "--template", "a photo", "--model", CLIP)
                        .err)
                .contains("has no {}");
        assertThat(execute("classify", red + ".gone", "--model", VIT).err).contains("there is no such file");
    }

    @Test
    void vectorsBecomeAnArrayWithTheNamesOfItsRows() throws IOException {
        Path npy = folder.resolve("out/vectors.npy");
        String tooLong = "one ".repeat(100);
        Outcome o = execute("embed", red.toString(), "--text", tooLong, "-o", npy.toString(), "--model", CLIP);
        assertThat(o.code).isZero();
        assertThat(o.err).contains("1 text is longer than the 24 tokens");
        byte[] bytes = Files.readAllBytes(npy);
        assertThat(new String(bytes, 10, 60, StandardCharsets.US_ASCII)).contains("'<f4'", "(2, 18)");
        assertThat(bytes).hasSize(128 + 2 * 18 * 4);
        assertThat(Files.readAllLines(folder.resolve("out/vectors.txt"))).containsExactly(red.toString(), tooLong);
    }

    @Test
    void vectorsBecomeATable() throws IOException {
        Path table = folder.resolve("out/vectors.parquet");
        assertThat(execute("embed", red.toString(), "--text", "one", "-o", table.toString(), "--model", CLIP).code)
                .isZero();
        try (Parquet.Rows rows = Parquet.rows(table)) {
            Map<String, Object> first = rows.next();
            assertThat(first).containsEntry("file", red.toString()).containsEntry("text", null);
            assertThat((List<?>) first.get("embedding")).hasSize(18);
            assertThat(rows.next()).containsEntry("text", "one");
            assertThat(rows.hasNext()).isFalse();
        }
    }

    @Test
    void aSearchFindsThePictureItselfFirstAndReadsOnlyWhatIsNew() throws IOException {
        String[] search = {
            "search",
            "--image",
            red.toString(),
            "--in",
            folder.resolve("in").toString(),
            "--index",
            folder.resolve("index").toString(),
            "--model",
            CLIP
        };
        Outcome first = execute(search);
        assertThat(first.code).isZero();
        assertThat(first.lines()).hasSize(2);
        assertThat(first.lines().get(0)).startsWith(" 1.0000").endsWith("red.png");

        Files.delete(folder.resolve("in/deep/blue.png"));
        Images.write(Image.filled(30, 60, 0x00ff00), folder.resolve("in/green.png"));
        Outcome second = execute(search);
        assertThat(second.lines()).hasSize(2).anyMatch(l -> l.endsWith("green.png"));
        assertThat(second.out).doesNotContain("blue.png");
        assertThat(second.err).contains("step 1 of 1");
    }
}
