package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class MaskTest {
    private static Mask mask(String... rows) {
        byte[] bits = new byte[rows.length * rows[0].length()];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (byte) (rows[i / rows[0].length()].charAt(i % rows[0].length()) == '#' ? 1 : 0);
        }
        return new Mask(rows[0].length(), rows.length, bits);
    }

    private static Mask random(int width, int height, long seed) {
        byte[] bits = new byte[width * height];
        Random random = new Random(seed);
        int share = 1 + random.nextInt(9);
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (byte) (random.nextInt(10) < share ? 1 : 0);
        }
        return new Mask(width, height, bits);
    }

    @Property(tries = 200)
    void runsAndTheirTextGiveTheMaskBack(
            @ForAll @IntRange(min = 1, max = 40) int width,
            @ForAll @IntRange(min = 1, max = 40) int height,
            @ForAll long seed) {
        Mask m = random(width, height, seed);
        Rle runs = Rle.of(m);
        assertThat(runs.mask()).isEqualTo(m);
        assertThat(Rle.of(width, height, runs.compressed())).isEqualTo(runs);
        Mask other = random(width, height, seed + 1);
        assertThat(runs.area()).isEqualTo(m.area());
        assertThat(runs.iou(Rle.of(other), false)).isEqualTo(m.iou(other));
    }

    @Test
    void runsThatAreNoneAreRefused() {
        assertThatThrownBy(() -> Rle.of(4, 4, "0"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("4x4");
        assertThatThrownBy(() -> Rle.of(4, 4, "o"))
                .isInstanceOf(UserError.class)
                .hasMessageContaining("no compressed");
        assertThatThrownBy(() -> Rle.of(4, 4, "~ ")).isInstanceOf(UserError.class);
    }

    @Test
    void smallHolesAreFilledAndSmallIslandsRemoved() {
        Mask m = mask(
                "####..#", //
                "#.##...", "####...", "####..#");
        Mask.Cleaned cleaned = m.withoutSmallRegions(2);
        assertThat(cleaned.changed()).isTrue();
        assertThat(cleaned.mask()).isEqualTo(mask("####...", "####...", "####...", "####..."));
        assertThat(m.withoutSmallRegions(1).changed()).isFalse();
    }

    @Test
    void theLargestOfIslandsThatAreAllSmallStays() {
        assertThat(mask("#..##", ".....").withoutSmallRegions(5).mask()).isEqualTo(mask("...##", "....."));
    }

    @Test
    void theInnermostPixelIsFarthestFromTheOutside() {
        assertThat(mask(".....", ".###.", ".###.", ".###.", ".....").innermost())
                .isEqualTo(12);
        assertThat(mask("##", "##").innermost()).isZero(); // beyond the picture is outside
        assertThat(mask("..", "..").innermost()).isEqualTo(-1);
    }

    @Test
    void boxesThatOverlapTheBestAreSuppressed() {
        Box best = new Box(0, 0, 10, 10);
        Box same = new Box(1, 0, 10, 10);
        Box other = new Box(20, 0, 30, 10);
        assertThat(Box.suppress(List.of(same, other, best), List.of(.5, .5, .9), .7))
                .containsExactly(2, 1);
    }
}
