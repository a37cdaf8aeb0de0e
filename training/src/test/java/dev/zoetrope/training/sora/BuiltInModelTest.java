package dev.zoetrope.training.sora;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.world.WorldObjects;
import org.junit.jupiter.api.Test;

/** The weights that ship do what their model card says, less what chance takes from few clips. */
class BuiltInModelTest {
    private static final int CLIPS = 24;

    @Test
    void itShowsWhatTheCaptionSays() {
        try (Sora sora = Sora.load(BuiltIn.folder(BuiltIn.SORA));
                ObjectJudge judge = ObjectJudge.builtIn()) {
            SoraEvaluation.Result r = new SoraEvaluation(
                            sora, judge, WorldObjects.first(30), new SoraEvaluation.Settings(CLIPS, 16, 2.5))
                    .seen(Progress.NONE);
            assertThat(r.object()).as("objects of %d", CLIPS).isGreaterThanOrEqualTo(21);
            assertThat(r.motion()).as("motions of %d", CLIPS).isGreaterThanOrEqualTo(16);
            assertThat(r.ground()).as("grounds of %d", CLIPS).isGreaterThanOrEqualTo(23);
        }
    }
}
