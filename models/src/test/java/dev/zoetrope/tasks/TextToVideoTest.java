package dev.zoetrope.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.TextToVideo.Request;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What clips can start from, with the built-in model and too few steps to look well. */
class TextToVideoTest {
    private static final Image GREEN = Image.filled(64, 64, 0x4CAF50);
    private static final Clip STILL = new Clip(Collections.nCopies(10, GREEN), 8);
    private static final Request REQUEST =
            Request.of("a red car on a green background").withSteps(2).withSeed(3);

    private static TextToVideo model;

    @BeforeAll
    static void load() {
        model = TextToVideo.builtIn();
    }

    @AfterAll
    static void close() {
        model.close();
    }

    private static List<Image> frames(Request r) {
        return model.generate(r, Progress.NONE).clip().frames();
    }

    @Test
    void eachKindOfStartMakesTheFramesAskedFor() {
        assertThat(frames(REQUEST.withFrames(7).withStart(new Start.After(STILL))))
                .hasSize(7);
        assertThat(frames(REQUEST.withFrames(7).withStart(new Start.Before(STILL))))
                .hasSize(7);
        assertThat(frames(REQUEST.withFrames(5).withStart(new Start.Between(STILL, STILL))))
                .hasSize(5);
        assertThat(frames(REQUEST.withFrames(13).withStart(new Start.Loop()))).hasSize(13);
        assertThat(frames(REQUEST.withFrames(10).withStart(new Start.Edit(STILL, 0.5))))
                .hasSize(10);
    }

    @Test
    void theFirstFrameIsTheOneThatIsGiven() {
        List<Image> made = frames(REQUEST.withFrames(9).withStart(new Start.FirstFrame(GREEN)));
        assertThat(made).hasSize(9);
        assertThat(made.get(0)).isEqualTo(GREEN);
    }

    @Test
    void longClipsComePieceByPiece() {
        List<Image> streamed = new ArrayList<>();
        List<Integer> steps = new ArrayList<>();
        model.generate(
                REQUEST.withFrames(45),
                (step, all) -> {
                    steps.add(streamed.size());
                    return true;
                },
                streamed::add);
        assertThat(streamed).hasSize(45);
        assertThat(steps).as("frames there when a step was done").contains(0, 16, 28, 40);
    }

    @Test
    void scenesFollowEachOther() {
        Storyboard board = Storyboard.of(
                Json.parse(
                        "board",
                        """
                {"scenes": [{"prompt": "a car", "seconds": 1},
                            {"prompt": "a fox", "seconds": 1, "transition": "fade"},
                            {"prompt": "a fox", "seconds": 0.5, "transition": "flow"}]}"""));
        List<Image> made = new ArrayList<>();
        board.make(model, REQUEST, Progress.NONE, made::add);
        assertThat(made).as("8 + 8 + 4 frames, of which 4 are in both").hasSize(16);
    }

    @Test
    void anEmptyStoryboardIsRefused() {
        assertThatThrownBy(() -> Storyboard.of(Json.parse("board.json", "{}")))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("board.json: no scenes");
    }

    @Test
    void aClipBringsItsShape() {
        Request wide = model.fitted(REQUEST.withStart(new Start.FirstFrame(Image.filled(1920, 1080, 0))));
        assertThat(wide.width()).isEqualTo(80);
        assertThat(wide.height()).isEqualTo(48);
    }
}
