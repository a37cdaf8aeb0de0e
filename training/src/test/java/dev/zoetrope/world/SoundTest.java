package dev.zoetrope.world;

import static org.assertj.core.api.Assertions.assertThat;

import dev.zoetrope.media.Audio;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class SoundTest {

    @ParameterizedTest
    @EnumSource(Motion.class)
    void isHeardAsWhatItIs(Motion motion) {
        World world = new World(
                1, Options.training().split(Split.TEST).motions(motion).frames(12));
        for (int i = 0; i < 6; i++) {
            Scene scene = world.scene(i);
            Scene.Sprite sprite = scene.sprites().get(0);
            SoundJudge.Verdict verdict = SoundJudge.judge(scene.sound());
            assertThat(verdict.pitchError(scene, sprite)).isLessThan(.5);
            assertThat(verdict.timbre()).isEqualTo(Timbre.of(sprite.object()));
            assertThat(verdict.onsetF1(Sound.onsets(scene, sprite), 1.5, .05))
                    .as(scene.caption())
                    .isGreaterThan(.95);
        }
    }

    @Test
    void lastsAsLongAsTheClipAndDoesNotClip() {
        World world = new World(1, Options.training().levels(Level.values()).frames(5));
        for (int i = 0; i < 40; i++) {
            Audio audio = world.scene(i).sound();
            assertThat(audio.length()).isEqualTo(10_000);
            float peak = 0;
            for (float sample : audio.samples()[0]) {
                peak = Math.max(peak, Math.abs(sample));
            }
            assertThat(peak).isBetween(.02f, 1f);
        }
        assertThat(world.scene(3).sound()).isEqualTo(world.scene(3).sound());
    }

    @Test
    void silenceHasNoPitch() {
        SoundJudge.Verdict verdict = SoundJudge.judge(Audio.mono(new float[8_000], Sound.RATE));
        assertThat(verdict.pitch()).allMatch(hertz -> hertz.isNaN());
        assertThat(verdict.onsets()).isEmpty();
    }
}
