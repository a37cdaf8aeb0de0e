package dev.zoetrope.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** On the smallest NExT-GPT, whose random weights say signal tokens of every kind. */
class AnyToAnyTest {
    private static final Path MODEL = Path.of("../parity/cases/nextgpt/generate/model");

    @TempDir
    private Path folder;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        CommandLine line = Zoetrope.commandLine();
        line.setOut(new PrintWriter(out));
        line.setErr(new PrintWriter(err));
        return line.execute(arguments);
    }

    @Test
    void withoutDecodersTheAnswerIsTextAndNotes() {
        assertThat(run("chat", "--model", MODEL.toString(), "Show me a red square.", "--json"))
                .as(err.toString())
                .isZero();
        assertThat(out.toString())
                .contains("\"files\":[]")
                .contains("Here is a red square")
                .doesNotContain("[IMG0]");
        assertThat(err.toString())
                .contains("wants to show a picture here")
                .contains("image_decoder")
                .contains("audio_decoder");
    }

    @Test
    void mediaNeedTheModelThatReadsThem() {
        Path picture = folder.resolve("a.png");
        Images.write(Image.filled(8, 8, 0xff0000), picture);
        assertThat(run("chat", "--model", MODEL.toString(), "--image", picture.toString(), "What is this?"))
                .isEqualTo(2);
        assertThat(err.toString()).contains("imagebind.pth");
    }
}
