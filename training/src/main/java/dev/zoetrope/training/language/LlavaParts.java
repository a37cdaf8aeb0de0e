package dev.zoetrope.training.language;

import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Trainable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Which parts of a model of the LLaVA family train, as TinyLLaVA's recipes say it.
 *
 * @param fromLayer first layer of the tower that trains where it does so partially
 */
public record LlavaParts(Tune language, Tune tower, Tune connector, int fromLayer) {
    private static final int MOST_LAYERS = 100;

    /** How much of a part trains. */
    public enum Tune {
        FROZEN,
        FULL,
        /** The upper layers, for a tower. */
        PARTIALLY_TUNE;

        public static Tune of(String name) {
            return switch (name.toLowerCase(Locale.ROOT).replace('_', '-')) {
                case "frozen" -> FROZEN;
                case "full" -> FULL;
                case "partially-tune" -> PARTIALLY_TUNE;
                default ->
                    throw new UserError(
                            "'" + name + "' is no way to train a part; supported: frozen, full, partially-tune");
            };
        }
    }

    /** By the names of TinyLLaVA, llava-hf, MobileVLM and Bunny alike. */
    public Trainable trainable() {
        if (language == Tune.PARTIALLY_TUNE || connector == Tune.PARTIALLY_TUNE) {
            throw new UserError("only a tower trains partially; language model and connector are frozen or full");
        }
        List<String> train = new ArrayList<>();
        if (connector == Tune.FULL) {
            train.add("^connector\\.|^multi_modal_projector\\.|^model\\.mm_projector\\.");
        }
        if (language == Tune.FULL) {
            train.add("^language_model\\.|^lm_head\\.|^model\\.(embed_tokens|layers|norm|final_layernorm)\\.");
        }
        if (tower == Tune.FULL) {
            train.add("^(model\\.)?vision_tower\\.");
        } else if (tower == Tune.PARTIALLY_TUNE) {
            train.add("^(model\\.)?vision_tower\\..*\\.layers\\." + atLeast(fromLayer) + "\\.");
        }
        return Trainable.of(train, List.of());
    }

    /** An expression for whole numbers from this one on. */
    private static String atLeast(int first) {
        List<String> all = new ArrayList<>();
        for (int i = Math.max(0, first); i < MOST_LAYERS; i++) {
            all.add(Integer.toString(i));
        }
        return "(" + String.join("|", all) + ")";
    }
}
