package dev.zoetrope.training;

import static java.util.Map.entry;

import dev.zoetrope.tensor.ProcessGroup;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.blip2.Blip2Training;
import dev.zoetrope.training.dit.DitTraining;
import dev.zoetrope.training.judge.JudgeTraining;
import dev.zoetrope.training.pictures.AutoencoderTraining;
import dev.zoetrope.training.pictures.DdpmTraining;
import dev.zoetrope.training.pictures.LatentDiffusionTraining;
import dev.zoetrope.training.pictures.LoraTraining;
import dev.zoetrope.training.recaption.RecaptionTraining;
import dev.zoetrope.training.sam.SamTraining;
import dev.zoetrope.training.seeing.PairTraining;
import dev.zoetrope.training.seeing.VitTraining;
import dev.zoetrope.training.sora.SoraTraining;
import dev.zoetrope.training.talking.TalkTraining;
import dev.zoetrope.training.videopoet.VideoPoetTraining;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/** Trains what a recipe describes. */
public final class Training {
    /** How a system is trained. */
    private interface Procedure {
        /** @return whether the run is complete */
        boolean run(Recipe recipe, RunFolder folder, TrainingListener listener);
    }

    private static final Map<String, Procedure> SYSTEMS = new TreeMap<>(Map.ofEntries(
            entry("autoencoder", AutoencoderTraining::run),
            entry("ddpm", DdpmTraining::run),
            entry("ldm", LatentDiffusionTraining::run),
            entry("lora", LoraTraining::run),
            entry("blip2", Blip2Training::run),
            entry("clip", PairTraining::run),
            entry("dit", DitTraining::run),
            entry("judge", JudgeTraining::run),
            entry("llava", TalkTraining::run),
            entry("tinyllava", TalkTraining::run),
            entry("mobilevlm", TalkTraining::run),
            entry("bunny", TalkTraining::run),
            entry("owl", TalkTraining::run),
            entry("cogvlm", TalkTraining::run),
            entry("deepseekvl", TalkTraining::run),
            entry("recaption", RecaptionTraining::run),
            entry("sam", SamTraining::run),
            entry("siglip", PairTraining::run),
            entry("sora", SoraTraining::run),
            entry("videopoet", VideoPoetTraining::run),
            entry("vit", VitTraining::run)));

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
        return run(recipe, overrides, run, resume, listener, ProcessGroup.ALONE);
    }

    /**
     * As one of several processes, which all call this with the same arguments.
     *
     * @param group the processes; the first is heard and writes
     */
    public static boolean run(
            Path recipe,
            Map<String, String> overrides,
            Path run,
            boolean resume,
            TrainingListener listener,
            ProcessGroup group) {
        Recipe r = Recipe.read(recipe, overrides);
        String system = r.settings().require("system");
        Procedure procedure = SYSTEMS.get(system);
        if (procedure == null) {
            throw new UserError(recipe + ": system '" + system + "' has no recipe; there are: "
                    + String.join(", ", SYSTEMS.keySet()));
        }
        try (RunFolder folder = RunFolder.open(run, r, resume, listener, group)) {
            boolean done = procedure.run(r, folder, listener);
            if (done && group.rank() == 0) {
                RunReport.html(run, folder.file("report.html"));
                listener.message("the curves are in " + folder.file("report.html"));
            }
            return done;
        }
    }
}
