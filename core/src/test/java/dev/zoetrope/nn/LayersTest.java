package dev.zoetrope.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LayersTest {
    private final Scope scope = Scope.open();
    private final RandomSource random = RandomSource.of(4);
    private final Weights weights = Weights.draw(random);

    @AfterEach
    void close() {
        weights.close();
        random.close();
        scope.close();
    }

    @ParameterizedTest
    @EnumSource(names = {"ZEROS", "FIRST_FRAME"})
    void aCausalConvolutionSeesNoLaterFrame(Conv3d.Past past) {
        Conv3d conv = Conv3d.cube(weights, 2, 3, 3, past);
        Tensor clip = random.normal(1, 2, 4, 5, 5);
        Tensor whole = conv.forward(clip);
        assertThat(whole.shape()).containsExactly(1, 3, 4, 5, 5);
        for (int frames = 1; frames < 4; frames++) {
            assertThat(conv.forward(clip.narrow(2, 0, frames)).toFloats())
                    .containsExactly(whole.narrow(2, 0, frames).toFloats(), within(1e-5f));
        }
    }

    @Test
    void aStillClipStaysStillWhereTheFirstFrameIsRepeated() {
        Conv3d conv = Conv3d.cube(weights, 2, 3, 3, Conv3d.Past.FIRST_FRAME);
        Tensor y = conv.forward(random.normal(1, 2, 1, 5, 5).repeat(1, 1, 3, 1, 1));
        assertThat(y.select(2, 0).toFloats()).containsExactly(y.select(2, 2).toFloats(), within(1e-5f));
    }

    @Test
    void batchNormFollowsItsBatchesInTrainingOnly() {
        BatchNorm norm = new BatchNorm(weights, 2, 0, .1);
        Tensor x = Tensor.of(new float[] {1, 10, 3, 30}, 2, 2); // means 2 and 20, unbiased variances 2 and 200
        assertThat(norm.forward(x).toFloats()).containsExactly(1, 10, 3, 30);
        try (TrainingScope training = TrainingScope.open(random)) {
            assertThat(norm.forward(x).toFloats()).containsExactly(new float[] {-1, -1, 1, 1}, within(1e-6f));
        }
        assertThat(weights.buffers().get("running_mean").toFloats())
                .containsExactly(new float[] {.2f, 2}, within(1e-6f));
        assertThat(weights.buffers().get("running_var").toFloats())
                .containsExactly(new float[] {1.1f, 20.9f}, within(1e-5f));
    }

    @Test
    void dropoutDropsItsShareAndKeepsTheMean() {
        Dropout dropout = new Dropout(.25);
        Tensor x = Tensor.ones(100_000);
        assertThat(dropout.forward(x)).isSameAs(x);
        try (TrainingScope training = TrainingScope.open(random)) {
            Tensor y = dropout.forward(x);
            assertThat(y.max().item()).isEqualTo(1 / .75, within(1e-6));
            assertThat(y.mean().item()).isEqualTo(1, within(.01));
        }
    }
}
