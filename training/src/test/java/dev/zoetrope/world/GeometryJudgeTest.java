package dev.zoetrope.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class GeometryJudgeTest {
    private static final Options ANY =
            Options.training().split(Split.TEST).combos(Split.Side.ANY).pairs(Split.Side.ANY);

    @ParameterizedTest
    @ValueSource(ints = {2, 4, 8, 16})
    void readsTrueClips(int frames) {
        World world = new World(1, ANY.frames(frames));
        for (int i = 0; i < 10; i++) {
            Scene scene = world.scene(i);
            Scene.Sprite sprite = scene.sprites().get(0);
            GeometryJudge.Verdict verdict = GeometryJudge.judge(scene.render(), sprite.object(), sprite.style());
            if (frames > 3 || !List.of(Motion.BOUNCE, Motion.SWAY, Motion.SPIN).contains(sprite.motion())) {
                assertThat(verdict.motion()).as(scene.caption()).isEqualTo(sprite.motion());
            }
            assertThat(verdict.ground()).isEqualTo(scene.backdrop().ground());
            assertThat(verdict.identityError()).isLessThan(.1);
            // Of two frames one may show a picture three times as large, so in more detail.
            assertThat(verdict.flicker()).isLessThan(frames > 3 ? .03 : .1);
            for (int k = 0; k < frames; k++) {
                assertThat((double) verdict.track().get(k).x())
                        .isCloseTo(sprite.track().get(k).x(), within(1.));
            }
        }
    }

    @Test
    void readsSoftAndNoisyClips() {
        World world = new World(2, ANY);
        Random random = new Random(1);
        int right = 0;
        for (int i = 0; i < 10; i++) {
            Scene scene = world.scene(i);
            Scene.Sprite sprite = scene.sprites().get(0);
            GeometryJudge.Verdict verdict =
                    GeometryJudge.judge(softAndNoisy(scene.render(), random), sprite.object(), sprite.style());
            right += verdict.motion() == sprite.motion() ? 1 : 0;
        }
        assertThat(right).isGreaterThanOrEqualTo(9);
    }

    @Test
    void knowsTheObject() {
        World world = new World(3, ANY);
        for (int i = 0; i < 4; i++) {
            Scene scene = world.scene(i);
            assertThat(GeometryJudge.identify(scene.render(), WorldObjects.all(), List.of(Style.values())))
                    .isEqualTo(scene.sprites().get(0).object());
        }
    }

    @Test
    void readsPairs() {
        World world = new World(6, ANY.levels(Level.L2));
        for (int i = 0; i < 3; i++) {
            Scene scene = world.scene(i);
            Scene.Sprite first = scene.sprites().get(0);
            Scene.Sprite second = scene.sprites().get(1);
            GeometryJudge.PairVerdict verdict =
                    GeometryJudge.judge(scene.render(), first.object(), first.style(), second.object(), second.style());
            assertThat(verdict.relation()).as(scene.caption()).isEqualTo(scene.relation());
            assertThat(verdict.first().motion()).as(scene.caption()).isEqualTo(first.motion());
            assertThat(verdict.second().motion()).as(scene.caption()).isEqualTo(second.motion());
        }
    }

    @Test
    void isNotFooled() {
        World world = new World(4, ANY.motions(Motion.LEFT, Motion.SPIN));
        for (int i = 0; i < 6; i++) {
            Scene scene = world.scene(i);
            Scene.Sprite sprite = scene.sprites().get(0);
            Clip clip = scene.render();
            List<Image> shuffled = new ArrayList<>(clip.frames());
            Collections.shuffle(shuffled, new Random(i));
            assertThat(GeometryJudge.judge(new Clip(shuffled, 8), sprite.object(), sprite.style())
                            .motion())
                    .as("frames out of order: %s", scene.facts())
                    .isNotEqualTo(sprite.motion());
            WorldObject other = WorldObjects.all().get((sprite.object().id() + 60) % 120);
            assertThat(GeometryJudge.judge(clip, other, sprite.style()).identityError())
                    .as("taken for a %s: %s", other, scene.facts())
                    .isGreaterThan(.1);
        }
        Clip empty = new Clip(Collections.nCopies(4, Image.filled(64, 64, Ground.BLUE.rgb())), 8);
        GeometryJudge.Verdict verdict = GeometryJudge.judge(empty, WorldObjects.named("fox"), Style.SHADED);
        assertThat(verdict.ground()).isEqualTo(Ground.BLUE);
        assertThat(verdict.identityError()).isGreaterThan(.2);
    }

    private static Clip softAndNoisy(Clip clip, Random random) {
        List<Image> frames = new ArrayList<>();
        for (Image image : clip.frames()) {
            int width = image.width();
            int height = image.height();
            float[] planes = image.planes();
            float[] soft = planes.clone();
            for (int i = 0; i < planes.length; i++) {
                int x = i % width;
                int y = i / width % height;
                if (x > 0 && y > 0 && x < width - 1 && y < height - 1) {
                    float sum = 0;
                    for (int d = 0; d < 9; d++) {
                        sum += planes[i + (d / 3 - 1) * width + d % 3 - 1];
                    }
                    soft[i] = sum / 9;
                }
                soft[i] += (float) (.05 * random.nextGaussian());
            }
            frames.add(Image.ofPlanes(soft, height, width));
        }
        return new Clip(frames, clip.fps());
    }
}
