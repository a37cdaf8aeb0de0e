package dev.zoetrope.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

class ZoetropeTest {
    private static final String PROMPT = "a fox bouncing on a blue background";

    @TempDir
    private Path folder;

    private record Outcome(int code, String out, String err) {}

    private static Outcome execute(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine line = Zoetrope.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
        int code = line.execute(arguments);
        return new Outcome(code, out.toString(), err.toString());
    }

    private List<Path> written() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        }
    }

    private static Arguments refused(String because, String prompt, String... options) {
        return Arguments.of(because, prompt, options);
    }

    static Stream<Arguments> badRequests() {
        return Stream.of(
                refused("the prompt is empty", ""),
                refused("the prompt is empty", "  "),
                refused("at most 4000", "word ".repeat(10_000)),
                refused("frames 0", PROMPT, "--frames", "0"),
                refused("frames -1", PROMPT, "--frames", "-1"),
                refused("width 7", PROMPT, "--size", "7x9"),
                refused("'64' is not WIDTHxHEIGHT", PROMPT, "--size", "64"),
                refused("steps 0", PROMPT, "--steps", "0"),
                refused("guidance NaN", PROMPT, "--guidance", "NaN"),
                refused("fps 0.0", PROMPT, "--fps", "0"),
                refused("--count 0", PROMPT, "--count", "0"),
                refused("--threads 0", PROMPT, "--threads", "0"),
                refused("scale factor 0", PROMPT, "--scale", "0"),
                refused("'many' is not an int", PROMPT, "--frames", "many"),
                refused("Unknown option", PROMPT, "--colour", "red"));
    }

    @ParameterizedTest
    @MethodSource("badRequests")
    void whatCannotBeMadeIsRefusedBeforeAnythingIsWritten(String because, String prompt, String[] options)
            throws IOException {
        List<String> arguments = new ArrayList<>(
                List.of("generate", prompt, "-o", folder.resolve("clip.mp4").toString()));
        arguments.addAll(List.of(options));

        Outcome outcome = execute(arguments.toArray(String[]::new));

        assertThat(outcome.err).startsWith("zoetrope: ").contains(because).doesNotContain("\tat ");
        assertThat(outcome.code).isEqualTo(2);
        assertThat(outcome.out).isEmpty();
        assertThat(written()).isEmpty();
    }

    @Test
    void anOutputThatCannotBeWrittenIsRefusedBeforeTheModelRuns() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        Path full = Files.createDirectory(folder.resolve("full"));
        Files.writeString(full.resolve("kept"), "");

        assertRefused(folder.resolve("clip.avi"), "cannot be written as .avi");
        assertRefused(folder.resolve("clip.png"), "a clip of 16 frames cannot be written as one picture");
        assertRefused(file.resolve("clip.mp4"), "is not a folder");
        assertRefused(file, "is a file");
        assertRefused(full, "not empty");
        Files.createDirectory(folder.resolve("folder.mp4"));
        assertRefused(folder.resolve("folder.mp4"), "is a folder");
        assertThat(written()).hasSize(3);
    }

    private static void assertRefused(Path output, String because) {
        Outcome outcome = execute("generate", PROMPT, "-o", output.toString());
        assertThat(outcome.err).startsWith("zoetrope: ").contains(output.toString(), because);
        assertThat(outcome.code).isEqualTo(2);
    }

    @Test
    void aModelThatIsNotThereIsNamed() throws IOException {
        Path model = folder.resolve("nothing");

        Outcome outcome = execute("generate", PROMPT, "-o", folder + "/clip.mp4", "--model", model.toString());

        assertThat(outcome.err).contains("zoetrope: ", model.toString());
        assertThat(outcome.code).isEqualTo(2);
        assertThat(written()).isEmpty();
    }

    @Test
    void aCommandIsNeededAndSpelled() {
        assertThat(execute().code).isEqualTo(2);
        Outcome outcome = execute("generat", PROMPT);
        assertThat(outcome.err).contains("zoetrope: ", "generate");
        assertThat(outcome.code).isEqualTo(2);
    }

    @Test
    void recipesAreChecked() throws IOException {
        Path recipe = Files.writeString(folder.resolve("recipe.yaml"), "system: other\n");

        assertThat(execute("train", folder + "/none.yaml").err).contains("none.yaml: there is no such recipe");
        Outcome outcome = execute("train", "sora", "--config", recipe.toString(), "--run", folder + "/run");

        assertThat(outcome.err).contains("is a recipe for other, not for sora");
        assertThat(outcome.code).isEqualTo(2);
        assertThat(written()).containsExactly(recipe);
    }

    @Test
    void casesAndManifestsThatAreNotThereAreNamed() {
        for (String command : List.of("parity", "manifest")) {
            Outcome outcome = execute(command, folder + "/none");
            assertThat(outcome.err).contains(folder + "/none: there is no such file or folder");
            assertThat(outcome.code).isEqualTo(2);
        }
    }

    @Test
    void theWorldIsShownWithItsCaptions() throws IOException {
        Path preview = folder.resolve("preview");

        Outcome outcome = execute(
                "world",
                "--count",
                "2",
                "--frames",
                "3",
                "--levels",
                "l1",
                "--format",
                "gif",
                "-o",
                preview.toString());

        assertThat(outcome.code).as(outcome.err).isZero();
        Clip clip = Clips.read(preview.resolve("00001.gif"));
        assertThat(clip.frames()).hasSize(3);
        assertThat(clip.width()).isEqualTo(4 * 64);
        assertThat(Files.readAllLines(preview.resolve("captions.jsonl"))).hasSize(2);
        assertThat(execute("world", "-o", preview.toString()).err).contains("not empty");
    }
}
