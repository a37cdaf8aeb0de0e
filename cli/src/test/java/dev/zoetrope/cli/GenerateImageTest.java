package dev.zoetrope.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.ContactSheet;
import dev.zoetrope.media.Image;
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

class GenerateImageTest {
    @TempDir
    Path folder;

    static Stream<Arguments> badRequests() {
        return Stream.of(
                Arguments.of("there is no scheduler 'foo'", List.of("--scheduler", "foo")),
                Arguments.of("--count 0", List.of("--count", "0")),
                Arguments.of("--mask needs --init", List.of("--mask", "m.png")),
                Arguments.of("not PHRASE:LEFT", List.of("--box", "a dog")),
                Arguments.of("within 0..1", List.of("--box", "a dog:0.5,0.2,0.1,0.9")),
                Arguments.of("is not WIDTHxHEIGHT", List.of("--size", "64")));
    }

    @ParameterizedTest
    @MethodSource("badRequests")
    void whatCannotBeMadeIsRefusedBeforeAModelIsOpened(String because, List<String> options) {
        List<String> arguments = new ArrayList<>(List.of(
                "generate",
                "image",
                "a sneaker",
                "--model",
                folder.toString(),
                "-o",
                folder.resolve("a.png").toString()));
        arguments.addAll(options);
        StringWriter err = new StringWriter();

        int code = Zoetrope.commandLine()
                .setOut(new PrintWriter(new StringWriter()))
                .setErr(new PrintWriter(err))
                .execute(arguments.toArray(String[]::new));

        assertThat(err.toString()).startsWith("zoetrope: ").contains(because);
        assertThat(code).isEqualTo(2);
        assertThat(Files.exists(folder.resolve("a.png"))).isFalse();
    }

    @Test
    void aSheetHoldsAllPictures() {
        Image red = Image.filled(8, 6, 0xff0000);
        Image blue = Image.filled(8, 6, 0x0000ff);

        Image sheet = ContactSheet.of(List.of(red, blue, red));

        assertThat(sheet.width()).isEqualTo(8 + 4 + 8);
        assertThat(sheet.height()).isEqualTo(6 + 4 + 6);
        assertThat(sheet.pixel(0, 0)).isEqualTo(0xff0000);
        assertThat(sheet.pixel(12, 0)).isEqualTo(0x0000ff);
        assertThat(sheet.pixel(7, 10)).isEqualTo(0xff0000);
        assertThat(sheet.pixel(12, 10)).isEqualTo(0x808080);
    }
}
