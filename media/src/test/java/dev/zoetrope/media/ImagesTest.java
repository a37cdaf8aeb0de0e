package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImagesTest {

    private static byte[] resource(String name) throws IOException {
        try (InputStream in = ImagesTest.class.getResourceAsStream(name)) {
            return in.readAllBytes();
        }
    }

    @Test
    void readsEveryKindOfPngAsPillowDoes() throws IOException {
        Map<String, byte[]> files = new HashMap<>();
        try (ZipInputStream zip = new ZipInputStream(ImagesTest.class.getResourceAsStream("png-suite.zip"))) {
            for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) {
                files.put(e.getName(), zip.readAllBytes());
            }
        }
        assertThat(files.size()).isEqualTo(2 * 58);
        files.forEach((name, data) -> {
            if (name.endsWith(".png")) {
                assertThat(Images.read(data, name).rgb()).as(name).isEqualTo(files.get(name.replace(".png", ".rgb")));
            }
        });
    }

    @ParameterizedTest
    @CsvSource({
        "progressive-420.jpg, 24, 17, a013b064",
        "cmyk.jpg, 24, 17, cff76601",
        "ycck.jpg, 24, 17, 7a3ad22b",
        "exif6.jpg, 17, 24, eec72c0a",
        "lossy.webp, 24, 17, eabd97ac",
        "alpha.webp, 24, 17, 378223db",
        "lossless.webp, 24, 17, eff8e669",
        "animated.webp, 30, 20, 16b877fa",
        "palette.gif, 24, 17, 8fb192d9",
        "grey.bmp, 24, 17, 85f42159"
    })
    void readsOtherFormatsAsPillowDoes(String name, int width, int height, String checksum) throws IOException {
        Image image = Images.read(resource(name), name);
        assertThat(image).extracting(Image::width, Image::height).containsExactly(width, height);
        assertThat(Pictures.checksum(image)).isEqualTo(checksum);
    }

    @Test
    void leavesThePictureAsStoredOnDemand() throws IOException {
        Image image = Images.read(resource("exif6.jpg"), "exif6.jpg", Images.Orientation.STORED);
        assertThat(Pictures.checksum(image)).isEqualTo("a013b064");
    }

    @Test
    void pngKeepsPictureAndText(@TempDir Path folder) {
        Path file = folder.resolve("a.png");
        Image image = Pictures.pattern(67, 41);
        Map<String, String> text =
                Map.of("parameters", "a cat\nSteps: 20, Seed: 7", "zoetrope", "{\"prompt\":\"Katze 🐈\"}");
        Images.write(image, file, text);
        assertThat(Images.read(file)).isEqualTo(image);
        assertThat(Images.text(file)).isEqualTo(text);
        assertThat(folder).isDirectoryContaining("glob:**/a.png");
    }

    @Test
    void jpegComesBackClose(@TempDir Path folder) {
        Path file = folder.resolve("a.jpg");
        Image image = Resize.to(Pictures.pattern(8, 8), 64, 64, Filter.BICUBIC);
        Images.write(image, file);
        byte[] back = Images.read(file).rgb();
        double sum = 0;
        for (int i = 0; i < back.length; i++) {
            sum += Math.abs((back[i] & 0xff) - (image.rgb()[i] & 0xff));
        }
        assertThat(sum / back.length).isLessThan(6);
    }

    @Test
    void refusesASizeBeforeItDecodes() {
        byte[] png = Images.png(Image.filled(1, 1, 0), Map.of());
        ByteBuffer.wrap(png).putInt(16, 40_000).putInt(20, 40_000);
        CRC32 crc = new CRC32();
        crc.update(png, 12, 17);
        ByteBuffer.wrap(png).putInt(29, (int) crc.getValue());
        assertThatThrownBy(() -> Images.read(png, "bomb.png"))
                .isInstanceOf(UserError.class)
                .hasMessage("bomb.png: picture of 40000x40000 = 1600000000 pixels, at most 178956970 are read; make it"
                        + " smaller first");
    }

    @ParameterizedTest
    @ValueSource(strings = {"png", "jpg", "alpha.webp", "animated.webp", "palette.gif", "grey.bmp", "cmyk.jpg"})
    void damagedFilesAreTheUsersErrorAndNothingElse(String format) throws IOException {
        Image image = Pictures.pattern(31, 17);
        byte[] whole =
                switch (format) {
                    case "png" -> Images.png(image, Map.of("a", "b"));
                    case "jpg" -> Images.jpeg(image, 90);
                    default -> resource(format);
                };
        Random random = new Random(7);
        for (int i = 0; i < 400; i++) {
            byte[] data = Arrays.copyOf(whole, 4 + random.nextInt(whole.length - 4));
            for (int k = random.nextInt(4); k > 0; k--) {
                data[random.nextInt(data.length)] = (byte) random.nextInt();
            }
            try {
                Images.read(data, "damaged");
            } catch (UserError expected) {
                assertThat(expected).hasMessageStartingWith("damaged: ");
            }
        }
    }

    @Test
    void saysWhatIsMissingOrUnknown(@TempDir Path folder) throws IOException {
        assertThatThrownBy(() -> Images.read(folder.resolve("none.png")))
                .hasMessageEndingWith("none.png: no such file");
        Path text = Files.writeString(folder.resolve("text.png"), "hello");
        assertThatThrownBy(() -> Images.read(text))
                .hasMessageEndingWith(
                        "text.png: not a picture that can be read (its first bytes are 68 65 6c 6c 6f); known are PNG,"
                                + " JPEG, WebP, GIF and BMP");
        assertThatThrownBy(() -> Images.write(Image.filled(2, 2, 0), folder.resolve("a.tiff")))
                .hasMessageEndingWith("a.tiff: a picture is written as .png, .jpg or .jpeg");
    }
}
