package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clips written frame by frame. */
class ClipWriterTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"clip.mp4", "clip.gif", "clip"})
    void framesThatComeOneByOneAreAllThere(String name) {
        try (ClipWriter writer = new ClipWriter(folder.resolve(name), 10, Map.of("prompt", "x"), Clips.Scale.NONE)) {
            for (int i = 0; i < 30; i++) {
                writer.add(Image.filled(32, 16, i * 0x080000));
            }
            writer.finish();
        }
        Clip clip = Clips.read(folder.resolve(name));
        assertThat(clip.frames()).hasSize(30);
        assertThat(clip.width()).isEqualTo(32);
    }

    @Test
    void whatIsNotFinishedLeavesNothing() throws IOException {
        try (ClipWriter writer = new ClipWriter(folder.resolve("clip.mp4"), 8, Map.of(), Clips.Scale.NONE)) {
            writer.add(Image.filled(16, 16, 0));
        }
        assertThat(files()).isZero();
    }

    @Test
    void whatIsInterruptedIsKeptUnderANameThatSaysSo() throws IOException {
        Path kept;
        try (ClipWriter writer = new ClipWriter(folder.resolve("clip.mp4"), 8, Map.of(), Clips.Scale.NONE)) {
            assertThat(writer.keepPartial()).isNull();
            for (int i = 0; i < 5; i++) {
                writer.add(Image.filled(16, 16, 0));
            }
            kept = writer.keepPartial();
        }
        assertThat(kept).isEqualTo(folder.resolve("clip.partial.mp4"));
        assertThat(files()).isEqualTo(1);
        assertThat(Clips.read(kept).frames()).hasSize(5);
    }

    private long files() throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.count();
        }
    }
}
