package dev.zoetrope.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.media.Mask;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code segment} and {@code annotate} with the small checkpoint of a reference case. */
class SegmentTest {
    private static final String MODEL = "../parity/cases/sam/predict_tall/model";

    @TempDir
    private Path folder;

    private Path picture;

    private record Outcome(int code, String out, String err) {}

    private static Outcome execute(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code = Zoetrope.commandLine()
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err))
                .execute(arguments);
        return new Outcome(code, out.toString(), err.toString());
    }

    @BeforeEach
    void draw() {
        picture = folder.resolve("photo.png");
        byte[] bits = new byte[60 * 40];
        Arrays.fill(bits, 600, 1500, (byte) 1);
        Images.write(new Mask(60, 40, bits).over(Image.filled(60, 40, 0x3060a0), 0xe0c020, 1), picture);
    }

    private Outcome segment(String... more) {
        List<String> all =
                new ArrayList<>(List.of("segment", picture.toString(), "--model", MODEL, "-o", folder.toString()));
        all.addAll(List.of(more));
        return execute(all.toArray(String[]::new));
    }

    @Test
    void aPointGivesAMaskAnOverlayAndRuns() {
        Outcome o = segment("--point", "30,20", "--point", "2,2,0");
        assertThat(o.err).doesNotContain("unexpected");
        assertThat(o.code).isZero();
        Mask mask = Mask.read(folder.resolve("photo-mask.png"));
        assertThat(mask.width()).isEqualTo(60);
        assertThat(Images.read(folder.resolve("photo-overlay.png")).height()).isEqualTo(40);
        Json json = Json.read(folder.resolve("photo-masks.json"));
        assertThat(json.list("masks").get(0).get("area", 0L)).isEqualTo(mask.area());

        Outcome refined = segment("--mask", folder.resolve("photo-mask.png").toString(), "--box", "0,0,50,30");
        assertThat(refined.code).isZero();
    }

    @Test
    void everythingIsWrittenInTheFormOfSa1b() {
        Outcome o = segment("--everything", "--points-per-side", "3", "--iou", "0", "--stability", "0");
        assertThat(o.code).isZero();
        Json json = Json.read(folder.resolve("photo-masks.json"));
        assertThat(json.at("image").get("file_name", "")).isEqualTo("photo.png");
        assertThat(json.list("annotations")).isNotEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "--point, '300,2', outside the picture of 60x40",
        "--point, '3', not X",
        "--point, '3,4,2', not X",
        "--box, '30,5,20,9', is empty",
        "--box, '1,2,3', not X0",
        "--mask, none.png, no such file",
        "--everything, '--point=1,1', takes no --point"
    })
    void whatCannotBeAskedIsRefused(String option, String value, String because) throws IOException {
        Outcome o = segment(option, value);
        assertThat(o.code).isEqualTo(2);
        assertThat(o.err).startsWith("zoetrope: ").contains(because).doesNotContain("\tat ");
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactly(picture);
        }
    }

    @Test
    void filesThatAreNoPicturesAreRefused() throws IOException {
        Files.write(picture, new byte[0]);
        assertThat(segment("--point", "1,1").err).contains("the file is empty");
        Files.write(picture, new byte[] {(byte) 0xff, (byte) 0xd8, (byte) 0xff, (byte) 0xe0, 0, 4});
        assertThat(segment("--point", "1,1").code).isEqualTo(2);
    }

    @Test
    void aSessionIsAnnotatedByCommandsThenByTheModelAlone() {
        String session = folder.resolve("session.json").toString();
        assertThat(execute("annotate", "start", session, picture.toString()).code)
                .isZero();
        InputStream before = System.in;
        System.setIn(new ByteArrayInputStream(
                "+ 30 20\n- 2 2\nundo\npick 1\naccept\nfly\n+ 900 2\nquit\n".getBytes(StandardCharsets.UTF_8)));
        Outcome manual;
        try {
            manual = execute("annotate", "--model", MODEL, "manual", session);
        } finally {
            System.setIn(before);
        }
        assertThat(manual.code).isZero();
        assertThat(manual.out)
                .contains("mask 1 kept")
                .contains("? 'fly' is no command")
                .contains("? point 900.0,2.0 lies outside");
        Outcome auto = execute(
                "annotate",
                "--model",
                MODEL,
                "auto",
                session,
                "--points-per-side",
                "2",
                "--iou",
                "0",
                "--stability",
                "0");
        assertThat(auto.code).isZero();
        assertThat(execute("annotate", "status", session).out)
                .contains("1 manual")
                .contains("done");
        Path masks = folder.resolve("masks");
        assertThat(execute("annotate", "export", session, "-o", masks.toString()).code)
                .isZero();
        assertThat(masks.resolve("photo.png.json")).exists();
        assertThat(masks.resolve("photo.png-overlay.png")).exists();
    }
}
