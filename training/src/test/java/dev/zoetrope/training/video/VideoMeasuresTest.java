package dev.zoetrope.training.video;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.evaluation.Mean;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.world.Level;
import dev.zoetrope.world.Options;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObjects;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class VideoMeasuresTest {
    private static final World WORLD = new World(
            5,
            Options.training()
                    .levels(Level.L1)
                    .objects(WorldObjects.first(10))
                    .styles(Style.SHADED)
                    .frames(8));

    private static Clip shuffled(Clip clip) {
        List<Image> frames = new ArrayList<>(clip.frames());
        Collections.shuffle(frames, new Random(1));
        return new Clip(frames, clip.fps());
    }

    private static Image grey(int value) {
        byte[] rgb = new byte[16 * 16 * 3];
        Arrays.fill(rgb, (byte) value);
        return new Image(16, 16, rgb);
    }

    @Test
    void trueClipsAreNearerToEachOtherThanFramesInAnyOrder() {
        try (ObjectJudge judge = ObjectJudge.builtIn();
                ClipFeatures real = ClipFeatures.of(judge);
                ClipFeatures others = ClipFeatures.of(judge);
                ClipFeatures disordered = ClipFeatures.of(judge)) {
            for (int i = 0; i < 24; i++) {
                real.add(WORLD.scene(i).render());
                Clip other = WORLD.scene(1000 + i).render();
                others.add(other);
                disordered.add(shuffled(other));
            }
            assertThat(real.distance(real)).isCloseTo(0, within(1e-6));
            assertThat(disordered.distance(real)).isGreaterThan(others.distance(real));
        }
    }

    @Test
    void aStillPictureIsSteady() {
        try (Scope s = Scope.open()) {
            Steadiness still = Steadiness.of(Collections.nCopies(4, grey(100)), Tensor.ones(4, 3));
            assertThat(still.consistency()).isCloseTo(1, within(1e-9));
            assertThat(still.firstToLast()).isCloseTo(1, within(1e-9));
            assertThat(still.jerk() + still.flicker() + still.drift()).isZero();
        }
    }

    @Test
    void lightThatPumpsAndLightThatFadesAreToldApart() {
        try (Scope s = Scope.open()) {
            Steadiness pumps = Steadiness.of(List.of(grey(100), grey(151), grey(100), grey(151)), Tensor.ones(4, 3));
            Steadiness fades = Steadiness.of(List.of(grey(100), grey(117), grey(134), grey(151)), Tensor.ones(4, 3));
            assertThat(pumps.flicker()).isCloseTo(.2, within(1e-9));
            assertThat(fades.flicker()).isCloseTo(0, within(1e-9));
            assertThat(fades.drift()).isCloseTo(.2, within(1e-9));
        }
    }

    @Test
    void theTruthIsTheCeiling() {
        try (ObjectJudge judge = ObjectJudge.builtIn()) {
            VideoEvaluation.Settings settings = new VideoEvaluation.Settings(6, 8, 64, 64, 4, 1);
            List<VideoEvaluation.Row> rows = new VideoEvaluation(judge, WorldObjects.first(10), settings)
                    .run((scene, seed) -> shuffled(scene.render()), List.of(), Progress.NONE);
            VideoEvaluation.Row truth = rows.get(0);
            VideoEvaluation.Row disordered = rows.get(1);
            assertThat(truth.all()).isGreaterThanOrEqualTo(5);
            assertThat(disordered.object()).isEqualTo(truth.object());
            assertThat(disordered.jerk().value()).isGreaterThan(truth.jerk().value());
            assertThat(VideoEvaluation.table(rows)).contains("held-out combinations");
        }
    }

    @Test
    void anIntervalNeedsTwoValues() {
        assertThat(Mean.of(List.of())).hasToString("-");
        assertThat(Mean.of(List.of(2.))).hasToString("2.000");
        assertThat(Mean.of(List.of(1., 3.)).half()).isCloseTo(1.96, within(1e-9));
    }
}
