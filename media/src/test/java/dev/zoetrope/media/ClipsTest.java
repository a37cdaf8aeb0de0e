package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.media.Clips.Limits;
import dev.zoetrope.media.Clips.Scale;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ClipsTest {

    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource({"64, 64, 8", "70, 50, 23.976"})
    void mp4KeepsFramesRateAndWords(int width, int height, double fps) {
        Clip clip = Pictures.disc(width, height, 12, fps);
        Path file = folder.resolve("a.mp4");
        Clips.write(clip, file, Map.of("title", "Disc", "seed", "7", "prompt", "ein \"Kreis\" ⭕"));
        Clip back = Clips.read(file);
        assertThat(back.frames()).hasSize(12);
        assertThat(back.fps()).isCloseTo(fps, within(0.01));
        assertThat(back.audio()).isNull();
        for (int i = 0; i < 12; i++) {
            assertThat(Pictures.psnr(clip.frames().get(i), back.frames().get(i)))
                    .isGreaterThan(28); // without any codec, shared colours leave 31
        }
        assertThat(Clips.metadata(file)).containsEntry("title", "Disc");
        assertThat(Clips.metadata(file).get("comment"))
                .contains("\"prompt\":\"ein \\\"Kreis\\\" ⭕\"", "\"seed\":\"7\"");
        assertThat(folder).isDirectoryContaining("glob:**/a.mp4").isDirectoryNotContaining("glob:**/*partial*");
    }

    @Test
    void enlargedPixelsStayCrisp() {
        Clip clip = Pictures.disc(32, 32, 4, 8);
        Path file = folder.resolve("a.mp4");
        Clips.write(clip, file, Map.of(), new Scale(8, Filter.NEAREST));
        Image back = Clips.read(file).frames().get(3);
        assertThat(Pictures.psnr(Resize.by(clip.frames().get(3), 8, Filter.NEAREST), back))
                .isGreaterThan(38);
    }

    @Test
    void oddAndTinySidesAreFilledUp() {
        Path file = folder.resolve("a.mp4");
        Clip clip = Pictures.disc(33, 7, 2, 4);
        Clips.write(clip, file);
        Image back = Clips.read(file).frames().get(0);
        assertThat(back).extracting(Image::width, Image::height).containsExactly(34, 16);
        assertThat(Pictures.psnr(clip.frames().get(0), back.crop(0, 0, 33, 7))).isGreaterThan(25);
    }

    @Test
    void mp4KeepsSound() {
        float[] tone = new float[16_000];
        for (int i = 0; i < tone.length; i++) {
            tone[i] = (float) (0.5 * Math.sin(2 * Math.PI * 440 * i / 16_000));
        }
        Path file = folder.resolve("a.mp4");
        Clip clip = Pictures.disc(32, 32, 8, 8);
        Clips.write(new Clip(clip.frames(), 8, Audio.mono(tone, 16_000)), file);
        Audio back = Clips.read(file).audio();
        assertThat(back)
                .isNotNull()
                .extracting(Audio::rate, Audio::channels, Audio::length)
                .containsExactly(48_000, 1, 48_000);
        Audio original = Resample.to(Audio.mono(tone, 16_000), 48_000);
        double error = 0;
        for (int i = 4_800; i < 43_200; i++) {
            error += Math.pow(back.samples()[0][i] - original.samples()[0][i], 2);
        }
        assertThat(Math.sqrt(error / 38_400)).isLessThan(0.01);
    }

    @Test
    void readsFirstOrSpreadFrames() {
        Path file = folder.resolve("a.mp4");
        Clip clip = Pictures.disc(32, 32, 10, 10);
        Clips.write(clip, file);
        List<Image> all = Clips.read(file).frames();
        assertThat(Clips.read(file, Limits.first(3)).frames()).isEqualTo(all.subList(0, 3));
        Clip spread = Clips.read(file, Limits.spread(4));
        assertThat(spread.frames()).containsExactly(all.get(0), all.get(3), all.get(6), all.get(9));
        assertThat(spread.fps()).isEqualTo(4);
    }

    @Test
    void gifKeepsFewColoursAndTheRate() {
        List<Image> frames = new ArrayList<>();
        for (int t = 0; t < 9; t++) {
            byte[] rgb = new byte[3 * 37 * 23];
            for (int i = 0; i < rgb.length; i += 3) {
                int level = (i * i / 7 + (i > 1200 ? t * 31 : 0)) % 200;
                rgb[i] = (byte) level;
                rgb[i + 1] = (byte) (3 * level);
                rgb[i + 2] = (byte) (255 - level);
            }
            frames.add(new Image(37, 23, rgb));
        }
        Path file = folder.resolve("a.gif");
        Clips.write(new Clip(frames, 12), file, Map.of("seed", "7"));
        Clip back = Clips.read(file);
        assertThat(back.frames()).isEqualTo(frames);
        assertThat(back.fps()).isCloseTo(12, within(0.2));
        assertThat(Images.read(file)).isEqualTo(frames.get(0));
        assertThat(Clips.metadata(file)).containsEntry("comment", "{\"seed\":\"7\"}");
    }

    @Test
    void gifOfManyColoursStaysClose() {
        Clip clip = Pictures.disc(80, 60, 5, 10);
        Clips.write(clip, folder.resolve("a.gif"));
        List<Image> back = Clips.read(folder.resolve("a.gif")).frames();
        for (int i = 0; i < 5; i++) {
            assertThat(Pictures.psnr(clip.frames().get(i), back.get(i))).isGreaterThan(38);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 6})
    void webpKeepsSmallClipsToTheLastBit(int frames) {
        Clip clip = Pictures.disc(41, 30, frames, 8);
        Path file = folder.resolve("a.webp");
        Clips.write(clip, file, Map.of("prompt", "Kreis ⭕"));
        assertThat(Clips.read(file).frames()).isEqualTo(clip.frames());
        assertThat(Clips.metadata(file)).containsEntry("comment", "{\"prompt\":\"Kreis ⭕\"}");
    }

    @Test
    void animatedWebpIsPutTogetherAsPillowDoes() throws URISyntaxException {
        Path file = Path.of(ClipsTest.class.getResource("animated.webp").toURI());
        Clip clip = Clips.read(file);
        assertThat(clip.frames().stream().map(Pictures::checksum))
                .containsExactly("16b877fa", "aec206b5", "203ceac8", "65e5ee0c");
        assertThat(clip.fps()).isCloseTo(1000 / 75.0, within(1e-9));
        assertThat(Clips.read(file, Limits.spread(2)).frames())
                .containsExactly(clip.frames().get(0), clip.frames().get(3));
    }

    @Test
    void folderOfPictures() {
        Clip clip = Pictures.disc(20, 10, 3, 8);
        Clips.write(clip, folder.resolve("frames"), Map.of("seed", "3"));
        assertThat(Clips.read(folder.resolve("frames")).frames()).isEqualTo(clip.frames());
        assertThat(Images.text(folder.resolve("frames/frame-00002.png"))).containsEntry("seed", "3");
    }

    /** A copy of a file in which some bytes, wherever they first stand behind a mark, are others. */
    private Path patched(Path file, String mark, byte[] old, byte[] now) throws IOException {
        byte[] all = Files.readAllBytes(file);
        int at = find(all, mark.getBytes(StandardCharsets.ISO_8859_1), 0);
        System.arraycopy(now, 0, all, find(all, old, at), now.length);
        return Files.write(folder.resolve("patched-" + file.getFileName()), all);
    }

    private static int find(byte[] in, byte[] what, int from) {
        for (int i = from; i + what.length <= in.length; i++) {
            if (Arrays.equals(in, i, i + what.length, what, 0, what.length)) {
                return i;
            }
        }
        throw new IllegalArgumentException("not there");
    }

    @Test
    void aTurnThatTheCameraNotedIsMade() throws IOException {
        Path file = folder.resolve("a.mp4");
        Clips.write(Pictures.disc(64, 32, 3, 8), file);
        byte[] upright = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
        byte[] quarter = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0};
        Clip turned = Clips.read(patched(file, "tkhd", upright, quarter));
        assertThat(turned.width()).isEqualTo(32);
        assertThat(turned.height()).isEqualTo(64);
        assertThat(turned.frames()).hasSize(3);
    }

    @Test
    void framesOfUnevenLengthAreSeenAtAnEvenRate() throws IOException {
        List<Image> frames = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            frames.add(Image.filled(16, 16, 0x202020 * (i + 1)));
        }
        Path file = folder.resolve("a.gif");
        Clips.write(new Clip(frames, 10), file);
        byte[] tenth = {0x21, (byte) 0xf9, 4};
        byte[] all = Files.readAllBytes(file);
        int first = find(all, tenth, 0);
        assertThat(all[first + 4]).isEqualTo((byte) 10);
        all[first + 4] = 50; // the first frame stands five times as long
        Clip back = Clips.read(Files.write(folder.resolve("uneven.gif"), all));
        assertThat(back.seconds()).isCloseTo(.8, within(.01));
        assertThat(back.frames()).hasSize(4);
        assertThat(back.frames().get(0)).isEqualTo(back.frames().get(2)).isEqualTo(frames.get(0));
        assertThat(back.frames().get(3)).isEqualTo(frames.get(2));
    }

    @Test
    void aFileWithoutPicturesSaysSo() throws IOException {
        Path sound = folder.resolve("sound.wav");
        Sounds.write(Audio.mono(new float[1600], 16_000), sound);
        assertThatThrownBy(() -> Clips.read(sound))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("sound.wav: there is no video in it");
        Path empty = Files.write(folder.resolve("empty.mp4"), new byte[0]);
        assertThatThrownBy(() -> Clips.read(empty))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("empty.mp4: not a video or sound that can be read");
    }

    @Test
    void saysWhatIsWrongAndLeavesNothingBehind() throws IOException {
        Clip clip = Pictures.disc(16, 16, 2, 8);
        assertThatThrownBy(() -> Clips.write(clip, folder.resolve("a.mov")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("a.mov: a clip cannot be written as .mov; known are .mp4, .gif, .webp");
        assertThatThrownBy(() -> Clips.write(clip, folder.resolve("a.png"))).hasMessageContaining("a clip of 2 frames");
        Path text = Files.writeString(folder.resolve("text.mp4"), "#EXTM3U\nhttp://localhost/secret.ts\n");
        assertThatThrownBy(() -> Clips.read(text))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("text.mp4: not a video or sound that can be read");
        assertThatThrownBy(() -> Clips.read(folder.resolve("none.mp4"))).hasMessageEndingWith("none.mp4: no such file");
        Path taken = Files.createDirectory(folder.resolve("taken.mp4"));
        Files.writeString(taken.resolve("x"), "y");
        assertThatThrownBy(() -> Clips.write(clip, taken)).isInstanceOf(UserError.class);
        assertThat(folder).isDirectoryNotContaining("glob:**/*partial*");
    }
}
