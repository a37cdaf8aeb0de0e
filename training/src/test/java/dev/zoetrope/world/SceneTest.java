package dev.zoetrope.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

final class SceneTest {

    /** A changed hash means changed data: every trained model and every number measured before belong to the old world. */
    @ParameterizedTest
    @CsvSource({
        "L1, 64, 64, 8, 8025f9b4549fd4ac",
        "L2, 96, 64, 12, 7a698e0fb320130f",
        "L3, 48, 48, 16, b7c8f9fa717784ce",
        "L3, 256, 128, 1, 9a5ea33b40949b1b",
    })
    void rendersTheSameBytesEverywhere(Level level, int width, int height, int frames, String expected)
            throws Exception {
        World world = new World(
                7,
                Options.training()
                        .levels(level)
                        .canvases(new World.Canvas(width, height))
                        .frames(frames)
                        .split(Split.TEST));
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (int i = 0; i < 20; i++) {
            Scene scene = world.scene(i);
            byte[] frame = new byte[scene.bytes()];
            scene.render(frame);
            digest.update(frame);
        }
        assertThat(HexFormat.of().formatHex(digest.digest(), 0, 8)).isEqualTo(expected);
    }

    @Test
    void sameIndexSameScene() {
        World world = new World(3, Options.training().levels(Level.values()));
        World again = new World(3, Options.training().levels(Level.values()));
        world.scene(5);
        assertThat(again.scene(17)).isEqualTo(world.scene(17)).isNotEqualTo(world.scene(18));
        assertThat(new World(4, world.options()).scene(17)).isNotEqualTo(world.scene(17));
    }

    @Test
    void moreFramesShowTheSameScene() {
        World world = new World(3, Options.training());
        for (int i = 0; i < 50; i++) {
            Scene coarse = world.scene(i);
            Scene fine = world.with(world.options().frames(15)).scene(i);
            assertThat(fine.facts()).isEqualTo(coarse.facts());
            if (coarse.sprites().get(0).motion() != Motion.SPIN) {
                assertThat(fine.sprites().get(0).track().get(14))
                        .isEqualTo(coarse.sprites().get(0).track().get(7));
            }
        }
    }

    @Test
    void trainingNeverShowsWhatIsHeldOut() {
        World world = new World(0, Options.training().levels(Level.values()));
        World heldOut = world.with(world.options().combos(Split.Side.HELD_OUT));
        for (int i = 0; i < 2_000; i++) {
            for (Scene.Sprite sprite : world.scene(i).sprites()) {
                assertThat(Split.heldOut(sprite.object(), sprite.motion())).isFalse();
                assertThat(Split.heldOut(sprite.object(), sprite.style())).isFalse();
            }
            Scene.Sprite first = heldOut.with(heldOut.options().levels(Level.L1))
                    .scene(i % 20)
                    .sprites()
                    .get(0);
            assertThat(Split.heldOut(first.object(), first.motion())).isTrue();
        }
    }

    @Test
    void relationsHoldInEveryFrame() {
        World world = new World(1, Options.training().levels(Level.L2, Level.L3));
        for (int i = 0; i < 1_000; i++) {
            Scene scene = world.scene(i);
            if (scene.relation() == null) {
                continue;
            }
            for (int k = 0; k < scene.frames(); k++) {
                Pose a = scene.sprites().get(0).track().get(k);
                Pose b = scene.sprites().get(1).track().get(k);
                float ahead =
                        switch (scene.relation()) {
                            case LEFT_OF -> b.x() - a.x();
                            case RIGHT_OF -> a.x() - b.x();
                            case ABOVE -> b.y() - a.y();
                            case BELOW -> a.y() - b.y();
                        };
                assertThat(ahead)
                        .as("%s frame %d of %s", scene.relation(), k, scene.facts())
                        .isPositive();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Level.class)
    void floatsAreTheBytesBeforeRounding(Level level) {
        Scene scene = new World(2, Options.training().levels(level)).scene(4);
        byte[] bytes = new byte[scene.bytes()];
        float[] floats = new float[scene.bytes()];
        scene.render(bytes);
        scene.render(floats);
        for (int i = 0; i < bytes.length; i++) {
            assertThat((int) (floats[i] * 255f + .5f)).isBetween(0, 255).isEqualTo(bytes[i] & 0xff);
        }
    }

    @Test
    void masksAreDisjointAndInsideTheWholeShapes() {
        World world = new World(
                2,
                Options.training()
                        .levels(Level.L2)
                        .frames(2)
                        .canvases(new World.Canvas(96, 96))
                        .crowd(5));
        int hidden = 0;
        for (int i = 0; i < 30; i++) {
            Scene scene = world.scene(i);
            byte[] visible = scene.masks();
            byte[] amodal = scene.amodalMasks();
            int each = scene.frames() * scene.height() * scene.width();
            for (int p = 0; p < each; p++) {
                int owners = 0;
                for (int s = 0; s < scene.sprites().size(); s++) {
                    owners += visible[s * each + p];
                    assertThat(visible[s * each + p]).isLessThanOrEqualTo(amodal[s * each + p]);
                    hidden += amodal[s * each + p] - visible[s * each + p];
                }
                assertThat(owners).isLessThanOrEqualTo(1);
            }
        }
        assertThat(hidden).as("pixels hidden by objects in front").isPositive();
    }

    @Test
    void boxesHoldTheObject() {
        Scene scene = new World(
                        2, Options.training().motions(Motion.STILL).objects(WorldObjects.named(List.of("soccer ball"))))
                .scene(0);
        Pose pose = scene.sprites().get(0).track().get(0);
        Scene.Box box = scene.boxes(scene.masks()).get(0).get(0);
        assertThat((box.left() + box.right()) / 2.).isCloseTo(pose.x(), within(1.5));
        assertThat(box.right() - box.left()).isBetween((int) (pose.size() * .8f), (int) pose.size() + 2);
    }

    @Test
    void refusesWhatNoSceneCanBe() {
        assertThatThrownBy(() -> new World.Canvas(60, 64))
                .hasMessageContaining("60x64")
                .hasMessageContaining("multiples of 8");
        assertThatThrownBy(() -> Options.training().frames(0)).hasMessageContaining("0 frames");
        assertThatThrownBy(() -> WorldObjects.named("dragon"))
                .hasMessageContaining("dragon")
                .hasMessageContaining("fox");
        World plainOnly = new World(0, Options.training().levels(Level.L3).grounds(Ground.RED));
        assertThatThrownBy(() -> plainOnly.scene(0)).hasMessageContaining("L3").hasMessageContaining("drawn grounds");
    }
}
