package dev.zoetrope.world;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;

final class CaptionTest {
    private static final World CLIPS = new World(11, Options.training().levels(Level.values()));
    private static final World PICTURES = CLIPS.with(CLIPS.options().frames(1).crowd(5));

    @Property(tries = 400)
    void usesOnlyWordsOfTheListAndAgrees(
            @ForAll @LongRange(max = 100_000) long index, @ForAll Caption.Length length, @ForAll boolean picture) {
        String caption = (picture ? PICTURES : CLIPS).scene(index).caption(length, 0);
        assertThat(Caption.words()).contains(caption.replaceAll("[.,]", "").split(" "));
        assertThat(caption).doesNotContain("{").doesNotContain("  ").doesNotMatch(".*\\b(a|an) (a|an|the)\\b.*");
        assertThat(caption)
                .doesNotMatch(".*\\ba ([aei]|or|oc|ow|um|hour).*")
                .doesNotMatch(".*\\ban ([^aeiouh]|uni|ufo).*")
                .doesNotMatch("(?!.*\\bof\\b).*(grapes|cherries|fries|chips) is\\b.*");
    }

    @Property(tries = 200)
    void neverUsesAHeldOutNameInTraining(@ForAll @LongRange(max = 100_000) long index, @ForAll Caption.Length length) {
        Scene scene = CLIPS.scene(index);
        Scene heldOut = CLIPS.with(CLIPS.options().heldOutNames(true)).scene(index);
        for (Scene.Sprite sprite : scene.sprites()) {
            String name = sprite.object().heldOutName().text();
            assertThat(scene.caption(length, 0)).doesNotMatch(".*\\b" + name + "\\b.*");
            assertThat(heldOut.caption(length, 0)).contains(name);
        }
    }

    @Example
    void sameSceneManyWordings() {
        Scene scene = CLIPS.with(CLIPS.options().levels(Level.L1)).scene(1);
        Set<String> captions = new HashSet<>();
        for (int variant = 0; variant < 200; variant++) {
            captions.add(scene.caption(Caption.Length.FULL, variant));
        }
        assertThat(captions).hasSizeGreaterThan(20);
        assertThat(scene.caption()).isEqualTo(scene.caption(Caption.Length.FULL, 0));
    }

    @Property(tries = 400)
    void factsAreReadBack(
            @ForAll @LongRange(max = 100_000) long index, @ForAll boolean picture, @ForAll boolean heldOut) {
        World world = picture ? PICTURES : CLIPS;
        Scene scene = world.with(world.options().heldOutNames(heldOut)).scene(index);
        assertThat(Facts.read(scene.caption())).as(scene.caption()).isEqualTo(scene.facts());
    }

    @Example
    void factsOfAPersonsWords() {
        assertThat(Facts.read("Please show me a BUNNY, it is hopping on a purple background!"))
                .isEqualTo(new Facts(
                        List.of(new Facts.Thing(
                                WorldObjects.named("rabbit"), Style.SHADED, Size.MEDIUM, Motion.BOUNCE)),
                        null,
                        Ground.PURPLE,
                        Camera.FIXED));
        assertThat(Facts.read("").things()).isEmpty();
    }

    @Property(tries = 200)
    void questionsAgreeWithTheFacts(@ForAll @LongRange(max = 100_000) long index, @ForAll boolean picture) {
        Scene scene = (picture ? PICTURES : CLIPS).scene(index);
        Set<String> words = new HashSet<>(Caption.words());
        words.addAll(Question.words());
        for (Question question : scene.questions(0)) {
            assertThat(words)
                    .contains((question.text() + " " + question.answer())
                            .replaceAll("[?,]", "")
                            .split(" "));
            assertThat(question.text()).doesNotContain("{").endsWith("?");
            Facts asked = Facts.read(question.text());
            switch (question.kind()) {
                case CHECK -> {
                    Facts.Thing named = asked.things().get(0);
                    boolean holds = scene.facts().things().stream()
                            .anyMatch(
                                    thing -> thing.object().equals(named.object()) && thing.motion() == named.motion());
                    assertThat(question.answer()).isEqualTo(holds ? "yes" : "no");
                }
                case RELATION -> {
                    assertThat(asked.relation()).isEqualTo(scene.relation());
                    assertThat(asked.things().get(0).object())
                            .isEqualTo(scene.sprites().get(1).object());
                    assertThat(question.answer())
                            .isEqualTo(scene.sprites().get(0).object().name());
                }
                case OBJECT ->
                    assertThat(question.answer())
                            .isEqualTo(scene.sprites().get(0).object().name());
                default -> assertThat(question.answer()).isNotEmpty();
            }
        }
    }
}
