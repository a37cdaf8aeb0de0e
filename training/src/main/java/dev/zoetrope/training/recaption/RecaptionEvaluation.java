package dev.zoetrope.training.recaption;

import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.Recaption;
import dev.zoetrope.training.evaluation.Share;
import dev.zoetrope.training.sora.SoraEvaluation;
import dev.zoetrope.world.Ground;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.WorldObject;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;

/**
 * What re-captioning is worth: the same scenes asked for by wishes in other words and with typing errors, as they are and
 * after re-captioning, and by their true captions, which give the ceiling. The judges of {@link SoraEvaluation} look at
 * the clips.
 */
public final class RecaptionEvaluation {
    private final Recaption words;
    private final Map<Long, String> captions = new HashMap<>();
    private final int[] kept = new int[4];

    public RecaptionEvaluation(Recaption words) {
        this.words = words;
    }

    /** The wish for a scene: always the same, in wordings that no training had. */
    static String wish(Scene scene) {
        return Wish.of(scene, new Random(scene.number()), true);
    }

    /** @param clips a row; progress counts them */
    public String table(SoraEvaluation evaluation, int clips, Progress progress) {
        int of = 3 * clips;
        List<SoraEvaluation.Result> rows = List.of(
                evaluation.seen("wishes as they are", (scene, i) -> wish(scene), progress, 0, of),
                evaluation.seen("re-captioned", (scene, i) -> caption(scene), progress, clips, of),
                evaluation.seen("true captions", (scene, i) -> scene.caption(), progress, 2 * clips, of));
        return String.format(
                        "Captions that say the wish's object %s, motion %s, ground %s, all three %s.%n%n",
                        share(0), share(1), share(2), share(3))
                + SoraEvaluation.table(rows);
    }

    private Share share(int fact) {
        return new Share(kept[fact], captions.size());
    }

    private String caption(Scene scene) {
        return captions.computeIfAbsent(scene.number(), n -> {
            String caption = words.caption(wish(scene));
            Scene.Sprite sprite = scene.sprites().get(0);
            boolean object = says(
                    caption,
                    sprite.object().names().stream().map(WorldObject.Name::text).toList());
            boolean motion = says(caption, sprite.motion().wordings());
            Ground ground = scene.backdrop().ground();
            boolean place = says(caption, ground.plain() ? List.of(ground.word()) : ground.places());
            kept[0] += object ? 1 : 0;
            kept[1] += motion ? 1 : 0;
            kept[2] += place ? 1 : 0;
            kept[3] += object && motion && place ? 1 : 0;
            return caption;
        });
    }

    private static boolean says(String caption, List<String> wordings) {
        return wordings.stream().anyMatch(w -> Pattern.compile("\\b" + Pattern.quote(w) + "\\b")
                .matcher(caption)
                .find());
    }
}
