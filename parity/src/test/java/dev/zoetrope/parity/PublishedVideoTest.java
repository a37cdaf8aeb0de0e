package dev.zoetrope.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Start;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The folders of published pipelines through the face that users see. */
class PublishedVideoTest {
    private static final Path CASES = Path.of("cases/sora");

    private static TextToVideo load(String name) {
        return TextToVideo.load(CASES.resolve(name).resolve("model"));
    }

    @ParameterizedTest
    @CsvSource({"cogvideox-t2v-2b, 16, 24, 9", "latte-t2v, 24, 16, 5", "wan-t2v-pipeline, 16, 32, 9"})
    void aFolderMakesAClip(String name, int width, int height, int frames) {
        try (TextToVideo model = load(name)) {
            var request = model.fitted(model.request("a red car")
                    .withSize(width, height)
                    .withFrames(frames + 1)
                    .withSteps(2)
                    .withSeed(5));
            List<Image> once = model.generate(request, Progress.NONE).clip().frames();
            assertThat(once)
                    .hasSize(frames)
                    .isEqualTo(model.generate(request, Progress.NONE).clip().frames());
        }
    }

    @Test
    void aModelThatNeedsAPictureSaysSo() {
        try (TextToVideo model = load("cogvideox-i2v")) {
            var request =
                    model.request("a red car").withSize(16, 24).withFrames(9).withSteps(2);
            assertThatThrownBy(() -> model.generate(request, Progress.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("--image");
            var from = request.withStart(new Start.FirstFrame(Image.filled(40, 40, 0xFF0000)));
            assertThat(model.generate(from, Progress.NONE).clip().frames()).hasSize(9);
        }
    }

    @Test
    void whatAModelCannotDoIsRefusedByName() {
        try (TextToVideo model = load("latte-t2v")) {
            var loop = model.request("a red car").withStart(new Start.Loop());
            assertThatThrownBy(() -> model.generate(loop, Progress.NONE))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("cannot loop");
        }
    }
}
