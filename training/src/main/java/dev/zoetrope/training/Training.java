package dev.zoetrope.training;

import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.dit.DitTraining;
import dev.zoetrope.training.judge.JudgeTraining;
import dev.zoetrope.training.sam.SamTraining;
import dev.zoetrope.training.seeing.PairTraining;
import dev.zoetrope.training.seeing.VitTraining;
import dev.zoetrope.training.sora.SoraTraining;
import java.nio.file.Path;
import java.util.Map;

/** Trains what a recipe describes. */
public final class Training {
    private Training() {}

    /**
     * @param recipe a YAML file; its {@code system} says what it trains
     * @param overrides settings to change, {@code stage.key} to value
     * @param run folder of the run, made if missing
     * @param resume whether to go on with the run that the folder holds
     * @return whether the run is complete; false when the listener stopped it
     */
    public static boolean run(
            Path recipe, Map<String, String> overrides, Path run, boolean resume, TrainingListener listener) {
        Recipe r = Recipe.read(recipe, overrides);
        String system = r.settings().require("system");
        RunFolder folder = RunFolder.open(run, r, resume, listener);
        return switch (system) {
            case "dit" -> DitTraining.run(r, folder, listener);
            case "sora" -> SoraTraining.run(r, folder, listener);
            case "vit" -> VitTraining.run(r, folder, listener);
            case "clip", "siglip" -> PairTraining.run(r, folder, listener);
            case "sam" -> SamTraining.run(r, folder, listener);
            case "judge" -> JudgeTraining.run(r, folder, listener);
            default ->
                throw new UserError(recipe + ": system '" + system
                        + "' has no recipe yet; there are: dit, judge, sora, vit, clip, siglip, sam");
        };
    }
}
