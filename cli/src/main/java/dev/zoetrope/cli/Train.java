package dev.zoetrope.cli;

import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Trains what a recipe describes. */
@Command(
        name = "train",
        description = {
            "Train a model by a recipe. Ctrl-C stops after the current step and saves; --resume goes on from there.",
            "  zoetrope train recipes/sora-world.yaml --run runs/sora",
            "  zoetrope train sora --config recipes/sora-world.yaml"
        })
final class Train implements Callable<Integer> {
    private static final int INTERRUPTED = 130;

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Parameters(paramLabel = "RECIPE", description = "A YAML file; with --config: the name of the system.")
    private String recipe;

    @Option(names = "--config", paramLabel = "FILE", description = "The recipe, when its system is named first.")
    private @Nullable Path config;

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "Change a setting of the recipe, such as video.steps=100; may be repeated.")
    private Map<String, String> overrides = new LinkedHashMap<>();

    @Option(
            names = "--run",
            paramLabel = "DIR",
            description = "Folder of checkpoints, event files and samples (default: runs/ and the recipe's name).")
    private @Nullable Path run;

    @Option(names = "--resume", description = "Go on with the run that the folder holds.")
    private boolean resume;

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        Path file = config == null ? Path.of(recipe) : config;
        if (!Files.isRegularFile(file)) {
            throw new UserError(file + ": there is no such recipe; the ones that come with Zoetrope are in recipes/");
        }
        String system = Recipe.read(file, overrides).settings().require("system");
        if (config != null && !system.equals(recipe)) {
            throw new UserError(file + ": is a recipe for " + system + ", not for " + recipe);
        }
        Path folder = run == null ? Path.of("runs", name(file)) : run;
        engine.start(err);
        try (Stop stop = new Stop("stopping after this step, then saving ...", err);
                Watch watch = new Watch(stop, err)) {
            if (!Training.run(file, overrides, folder, resume, watch)) {
                err.println("zoetrope: stopped; go on with --resume");
                return INTERRUPTED;
            }
        }
        spec.commandLine().getOut().println(folder.resolve("model"));
        return 0;
    }

    private static String name(Path file) {
        String name = file.getFileName().toString();
        int dot = name.lastIndexOf('.');
        return dot > 0 ? name.substring(0, dot) : name;
    }

    /** Shows where a training is. */
    private static final class Watch implements TrainingListener, AutoCloseable {
        private final Stop stop;
        private final PrintWriter err;
        private @Nullable Bar bar;

        Watch(Stop stop, PrintWriter err) {
            this.stop = stop;
            this.err = err;
        }

        @Override
        public void stage(String name, long firstStep, long steps) {
            close();
            bar = new Bar(name, firstStep, steps, err);
        }

        @Override
        public boolean step(long step, long steps) {
            if (bar != null) {
                bar.step(step);
            }
            return !stop.requested();
        }

        @Override
        public void report(long step, Map<String, Double> values) {
            if (bar != null) {
                bar.note(values.entrySet().stream()
                        .map(v -> String.format(Locale.ROOT, "%s %.4g", v.getKey(), v.getValue()))
                        .collect(Collectors.joining(", ")));
            }
        }

        @Override
        public void message(String text) {
            err.println(text);
            err.flush();
        }

        @Override
        public void close() {
            if (bar != null) {
                bar.close();
                bar = null;
            }
        }
    }
}
