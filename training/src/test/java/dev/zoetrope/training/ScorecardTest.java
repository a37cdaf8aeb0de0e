package dev.zoetrope.training;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Progress;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The built-in models do not fall below what they were shipped with, less what chance takes from few samples. */
class ScorecardTest {
    /** On what training shows; measured on 1024 pictures, 100 objects and 100 clips. */
    private static final Map<String, Double> FLOORS = Map.of(
            BuiltIn.VIT, .90, //
            BuiltIn.CLIP, .70,
            BuiltIn.SAM, .50,
            BuiltIn.SORA, .50);

    @Test
    void everyBuiltInModelKeepsItsFloor() {
        List<Scorecard.Row> rows = Scorecard.of(8, 128, 10, Progress.NONE);
        assertThat(rows).hasSameSizeAs(FLOORS.keySet());
        rows.forEach(r ->
                assertThat(r.seen()).as(r.model() + ": " + r.measure()).isGreaterThanOrEqualTo(FLOORS.get(r.model())));
    }
}
