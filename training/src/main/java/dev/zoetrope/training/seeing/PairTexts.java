package dev.zoetrope.training.seeing;

import dev.zoetrope.training.pictures.PictureData;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Scene;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;

/** How pictures are described to CLIP: mostly by their captions, sometimes in the sentences of zero-shot classification. */
final class PairTexts {
    private static final List<String> FRAMES =
            List.of("a photo of %s", "a picture of %s", "this is a photo of %s", "%s", "an image of %s");
    private static final double SHORT = 0.3;

    private PairTexts() {}

    static String of(Scene scene, Random random) {
        int variant = random.nextInt(1 << 16);
        if (random.nextDouble() < SHORT) {
            String frame = FRAMES.get(random.nextInt(FRAMES.size()));
            return String.format(frame, scene.caption(Caption.Length.SHORT, variant));
        }
        return scene.caption(Caption.Length.FULL, variant);
    }

    static Set<String> words() {
        return words(Caption.words());
    }

    /** Of people's captions. */
    static Set<String> words(PictureData data) {
        return words(data.words());
    }

    private static Set<String> words(Set<String> ofCaptions) {
        Set<String> words = new TreeSet<>(ofCaptions);
        for (String frame : FRAMES) {
            words.addAll(List.of(frame.replace("%s", "").strip().split(" ")));
        }
        words.remove("");
        return words;
    }
}
