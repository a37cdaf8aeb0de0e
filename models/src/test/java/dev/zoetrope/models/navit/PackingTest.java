package dev.zoetrope.models.navit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

class PackingTest {
    private static final int ROW = 12;

    @Property(tries = 200)
    void nothingOverlapsAndNothingIsLost(
            @ForAll @Size(min = 1, max = 20) List<@IntRange(min = 1, max = ROW) Integer> lengths) {
        Packing packing = Packing.of(lengths, ROW);
        boolean[][] taken = new boolean[packing.rows()][ROW];
        for (int i = 0; i < lengths.size(); i++) {
            Packing.Place p = packing.places().get(i);
            assertThat(p.tokens()).isEqualTo(lengths.get(i));
            for (int t = p.offset(); t < p.offset() + p.tokens(); t++) {
                assertThat(taken[p.row()][t]).isFalse();
                taken[p.row()][t] = true;
            }
        }
        assertThat(packing.fill()).isGreaterThan(0).isLessThanOrEqualTo(1);
    }

    @Property(tries = 1)
    void aSequenceLongerThanARowIsRefused() {
        assertThatThrownBy(() -> Packing.of(List.of(3, ROW + 1), ROW))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("sequence 1 has 13 tokens, a row only 12");
    }
}
