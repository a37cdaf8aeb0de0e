package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** A pipeline as people publish it: model_index.json, and a folder for each part that it names. */
public final class PipelineFolder {
    private static final String INDEX = "model_index.json";

    private final Path folder;
    private final Json index;

    private PipelineFolder(Path folder, Json index) {
        this.folder = folder;
        this.index = index;
    }

    public static PipelineFolder open(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new UserError(folder + ": there is no such folder; expected that of a pipeline, with " + INDEX);
        }
        if (!Files.isRegularFile(folder.resolve(INDEX))) {
            throw new UserError(folder + ": no " + INDEX + "; expected the folder of a pipeline"
                    + (Files.isRegularFile(folder.resolve("config.json")) ? ", and this is one part of it" : ""));
        }
        return new PipelineFolder(folder, Json.read(folder.resolve(INDEX)));
    }

    /** The parts of a recipe that has no index, each in a folder of its name. */
    public static PipelineFolder ofParts(Path folder) {
        return new PipelineFolder(folder, Json.empty());
    }

    public static boolean isOne(Path folder) {
        return Files.isRegularFile(folder.resolve(INDEX));
    }

    public Path folder() {
        return folder;
    }

    /** diffusers' class of pipeline, {@code StableDiffusionPipeline}. */
    public String kind() {
        return index.get("_class_name", "");
    }

    /** Settings beside the parts. */
    public Json index() {
        return index;
    }

    /** Whether the index names this part, and not as null. */
    public boolean names(String part) {
        return index.isArray(part)
                && index.value(part) instanceof List<?> libraryAndClass
                && libraryAndClass.size() == 2
                && libraryAndClass.get(1) != null;
    }

    /** The folder of a part, which must be there. */
    public Path part(String name) {
        Path part = folder.resolve(name);
        if (!Files.isDirectory(part)) {
            throw new UserError(folder + ": the part '" + name + "' is missing; " + INDEX
                    + (names(name)
                            ? " names it, so the download is not complete"
                            : " does not name it, but this kind (" + kind() + ") needs it"));
        }
        return part;
    }

    public Scheduler scheduler() {
        return scheduler("scheduler");
    }

    public Scheduler scheduler(String part) {
        return Scheduler.of(schedulerConfig(part));
    }

    /** What the scheduler is made from, from which others can be made too. */
    public Json schedulerConfig(String part) {
        return Json.read(part(part).resolve("scheduler_config.json"));
    }

    /** Refuses weights that hold what is not a number, before an hour is spent on them. */
    public static void requireFinite(String part, Weights weights) {
        try (Autograd.Mode off = Autograd.off()) {
            for (Map.Entry<String, Tensor> e : weights.all().entrySet()) {
                try (Scope s = Scope.open()) {
                    if (e.getValue().dtype().isFloating()
                            && !e.getValue().isfinite().all()) {
                        throw new UserError(part + ": the tensor '" + e.getKey()
                                + "' holds values that are not finite; the file is damaged, fetch it again");
                    }
                }
            }
        }
    }
}
