package dev.zoetrope.models.videopoet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VideoPoetTest {
    private static VisionTokenizer vision(RandomSource random, String quantizer) {
        Map<String, Object> config =
                Map.of("width", 8, "bottleneck_width", 16, "blocks", 1, "quantizer", quantizer, "bits", 4);
        Weights w = Weights.draw(random);
        VisionTokenizer r = new VisionTokenizer(VisionTokenizer.Config.of(Json.of("vision", config)), w);
        try (Scope s = Scope.open()) { // blocks start as if they were not there
            w.named()
                    .forEach((name, t) -> t.copyInPlace(random.normal(t.shape()).mul(.2)));
        }
        return r;
    }

    @ParameterizedTest
    @ValueSource(strings = {"lfq", "fsq"})
    void aPictureIsTheBeginningOfAVideo(String quantizer) {
        try (Scope s = Scope.open();
                Autograd.Mode off = Autograd.off();
                RandomSource random = RandomSource.of(1);
                VisionTokenizer model = vision(random, quantizer)) {
            Tensor video = random.uniformBetween(-1, 1, 2, 3, 9, 8, 12);
            Tensor codes = model.encode(video);
            assertThat(codes.shape()).containsExactly(2, 3, 2, 3, 2);
            for (int planes = 1; planes < 3; planes++) {
                Tensor beginning =
                        model.encode(video.narrow(2, 0, model.config().frames(planes)));
                assertThat(beginning.eq(codes.narrow(1, 0, planes)).all()).isTrue();
                Tensor shown = model.decode(beginning);
                Tensor whole = model.decode(codes).narrow(2, 0, shown.size(2));
                assertThat(shown.sub(whole).abs().max().item()).isLessThan(1e-5);
            }
            assertThat(model.encode(video.narrow(2, 0, 6)).size(1)).isEqualTo(3); // a plane begun is a plane
            assertThatThrownBy(() -> model.decode(codes.mul(0L).add(5000L)))
                    .isInstanceOf(UserError.class)
                    .hasMessageContaining("outside 0..");
        }
    }

    @Test
    void soundKeepsItsLengthAndSilenceIsNoTrouble() {
        try (Scope s = Scope.open();
                Autograd.Mode off = Autograd.off();
                RandomSource random = RandomSource.of(2);
                SoundTokenizer model = new SoundTokenizer(
                        SoundTokenizer.Config.of(
                                Json.of("sound", Map.of("width", 8, "blocks", 1, "codebook_size", 16))),
                        Weights.draw(random))) {
            Tensor codes = model.encode(Tensor.zeros(1, 900));
            assertThat(codes.shape()).containsExactly(1, 4, 3);
            Tensor sound = model.decode(codes);
            assertThat(sound.shape()).containsExactly(1, 1200);
            assertThat(sound.isfinite().all()).isTrue();
            assertThat(model.decode(codes.narrow(1, 0, 2)).size(1)).isEqualTo(1200);
        }
    }

    @Test
    void aSpectrumSaysHowLoudATone() {
        float[] tone = new float[1600];
        for (int i = 0; i < tone.length; i++) {
            tone[i] = (float) (.5 * Math.sin(2 * Math.PI * 1000 * i / 16000));
        }
        try (Scope s = Scope.open();
                Spectrum spectrum = new Spectrum(40, 4, 80)) { // bins of 100 Hz
            Tensor m = spectrum.of(Tensor.of(tone, 1, tone.length)).select(1, 20);
            assertThat(m.select(1, 10).item()).isCloseTo(.5, org.assertj.core.data.Offset.offset(1e-3));
            assertThat(m.select(1, 20).item()).isLessThan(1e-3);
        }
    }

    @Test
    void delayedCodesComeTogetherAgain() {
        try (Scope s = Scope.open();
                RandomSource random = RandomSource.of(3)) {
            Tensor codes = random.integers(0, 9, 2, 4, 5);
            Tensor delayed = Sequence.delayed(codes);
            assertThat(delayed.shape()).containsExactly(2, 8, 4);
            assertThat(delayed.select(0, 0).select(0, 0).toLongs()).containsExactly(codes.toLongs()[0], -1, -1, -1);
            assertThat(Sequence.together(delayed).eq(codes).all()).isTrue();
        }
    }

    /** What is said token by token, from the cache, is what the whole sequence foretells at once. */
    @Test
    void theCacheForetellsWhatTheWholeSequenceDoes() {
        Map<String, Object> config = Map.of(
                "width", 32, "layers", 2, "heads", 2, "visual_codes", 16, "audio_codes", 8, "audio_codebooks", 2);
        Canvas canvas = new Canvas(2, 2, 2, 3);
        try (Scope s = Scope.open();
                Autograd.Mode off = Autograd.off();
                RandomSource random = RandomSource.of(4);
                Weights w = Weights.draw(random);
                dev.zoetrope.models.language.KvCache cache = new dev.zoetrope.models.language.KvCache()) {
            TokenTransformer model = new TokenTransformer(TokenTransformer.Config.of(Json.of("tokens", config)), w);
            Tensor given = random.integers(0, 16, 2, 2, 2, 2, 2);
            Tensor video = random.integers(0, 16, 2, 8, 2);
            Sequence whole = Sequence.prefix(model, Task.COMPLETE, canvas, 2, null, given);
            int prefix = whole.length();
            whole.video(video);
            whole.sound(Sequence.delayed(random.integers(0, 8, 2, 2, 3)));
            Tensor x = whole.embedded();
            Tensor all = model.forward(x, whole.angles(), whole.mask(), null);
            Tensor angles = whole.angles();
            model.forward(
                    x.narrow(1, 0, prefix),
                    angles.narrow(0, 0, prefix),
                    whole.mask().narrow(1, 0, prefix).narrow(2, 0, prefix),
                    cache);
            for (int i = prefix; i < whole.length(); i++) {
                Tensor one = model.forward(x.narrow(1, i, 1), angles.narrow(0, i, 1), whole.present(i + 1), cache);
                assertThat(one.sub(all.narrow(1, i, 1)).abs().max().item()).isLessThan(1e-4);
            }
        }
    }
}
