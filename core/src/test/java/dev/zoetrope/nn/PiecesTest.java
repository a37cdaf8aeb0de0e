package dev.zoetrope.nn;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What goes through in pieces comes out as the whole does. */
class PiecesTest {
    @ParameterizedTest
    @EnumSource(names = "PADDED", mode = EnumSource.Mode.EXCLUDE)
    void aCausalConvolutionRemembersTheFramesBefore(Conv3d.Past past) {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(1);
                FrameCache cache = new FrameCache()) {
            Conv3d conv = Conv3d.cube(Weights.draw(random), 2, 3, 3, past);
            Tensor video = random.normal(1, 2, 6, 4, 5);

            Tensor pieces = Tensor.cat(
                    2,
                    conv.forward(video.narrow(2, 0, 1), cache),
                    conv.forward(video.narrow(2, 1, 1), cache),
                    conv.forward(video.narrow(2, 2, 4), cache));

            assertThat(pieces.sub(conv.forward(video)).abs().max().item()).isLessThan(1e-5);
        }
    }

    @Test
    void tilesOfAnUnchangedPictureBlendIntoThePicture() {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(2)) {
            Tensor picture = random.normal(1, 2, 23, 17);

            Tensor stitched = new Tiles(8, 10, 6, 8, 2, 2, 6, 8).apply(picture, tile -> tile.add(0.0));

            assertThat(stitched.shape()).isEqualTo(picture.shape());
            assertThat(stitched.sub(picture).abs().max().item()).isLessThan(1e-6);
        }
    }

    @Test
    void tilesThatDisagreeFadeIntoEachOther() {
        try (Scope s = Scope.open()) {
            int[] tile = {0};

            Tensor stitched =
                    new Tiles(4, 6, 4, 4, 0, 2, 4, 4).apply(Tensor.zeros(1, 1, 1, 10), x -> x.add((double) tile[0]++));

            assertThat(stitched.flatten(0).toFloats()).containsExactly(0, 0, 0, 0, 0, .5f, 1, 1, 1, 1.5f);
        }
    }
}
