package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SoundsTest {

    private static float[] tone(double hertz, int rate, int length) {
        float[] tone = new float[length];
        for (int i = 0; i < length; i++) {
            tone[i] = (float) (0.8 * Math.sin(2 * Math.PI * hertz * i / rate));
        }
        return tone;
    }

    @Test
    void wavComesBack(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("a.wav");
        Audio audio = new Audio(new float[][] {tone(440, 22_050, 5000), tone(100, 22_050, 5000)}, 22_050);
        audio.samples()[1][5] = 7;
        Sounds.write(audio, file);
        Audio back = Sounds.read(file);
        assertThat(back).extracting(Audio::rate, Audio::channels, Audio::length).containsExactly(22_050, 2, 5000);
        assertThat(back.samples()[0]).containsExactly(audio.samples()[0], within(1f / 65_000));
        assertThat(back.samples()[1][5]).isEqualTo(32767f / 32768);
        AudioFormat format = AudioSystem.getAudioFileFormat(file.toFile()).getFormat();
        assertThat(format.getSampleRate()).isEqualTo(22_050);
        assertThat(format.getSampleSizeInBits()).isEqualTo(16);
        assertThatThrownBy(() -> Sounds.write(audio, folder.resolve("a.mp3")))
                .hasMessageEndingWith("is written as .wav");
    }

    @Test
    void aLongSoundComesInPieces(@TempDir Path folder) {
        Path file = folder.resolve("a.wav");
        Sounds.write(Audio.mono(tone(440, 8000, 20_000), 8000), file);
        List<Audio> pieces = new ArrayList<>();
        Sounds.read(file, 1, pieces::add);
        assertThat(pieces).extracting(Audio::length).containsExactly(8000, 8000, 4000);
        float[] whole = Sounds.read(file).samples()[0];
        assertThat(pieces.get(2).samples()[0]).containsExactly(Arrays.copyOfRange(whole, 16_000, 20_000));
    }

    @Test
    void soundsFollowEachOther() {
        Audio track = Soundtrack.of(
                100,
                new Soundtrack.Part(null, .1),
                new Soundtrack.Part(new Audio(new float[][] {{1, 1, 1}, {0, 0, 0}}, 100), .02),
                new Soundtrack.Part(Audio.mono(new float[] {1}, 100), .02));
        assertThat(track.samples()[0]).hasSize(14).endsWith(0, .5f, .5f, 1, 0);
    }

    @ParameterizedTest
    @CsvSource({"22050, 16000", "16000, 44100", "48000, 16000"})
    void resamplingKeepsATone(int from, int to) {
        Audio audio = Audio.mono(tone(440, from, from), from);
        Audio resampled = Resample.to(audio, to);
        assertThat(resampled.length()).isEqualTo(to);
        float[] expected = tone(440, to, to);
        for (int i = to / 10; i < to - to / 10; i++) {
            assertThat(resampled.samples()[0][i]).isCloseTo(expected[i], within(0.005f));
        }
    }

    @Test
    void resamplingRemovesWhatTheLowerRateCannotHold() {
        float[] resampled = Resample.to(Audio.mono(tone(7_000, 16_000, 16_000), 16_000), 8_000)
                .samples()[0];
        for (int i = 100; i < 7_900; i++) {
            assertThat(resampled[i]).isCloseTo(0, within(0.02f));
        }
    }
}
