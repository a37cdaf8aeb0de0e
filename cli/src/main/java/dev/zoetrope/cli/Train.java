package dev.zoetrope.cli;

import dev.zoetrope.tensor.ProcessGroup;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.Training;
import dev.zoetrope.training.TrainingListener;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
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
            "  zoetrope train sora --config recipes/sora-world.yaml",
            "  zoetrope train recipes/vit-world.yaml --processes 2 --set training.workers=1"
        })
final class Train implements Callable<Integer> {
    private static final int INTERRUPTED = 130;

    /** One process may be busy with samples for so long while the others wait. */
    private static final int PATIENCE_SECONDS = 3600;

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

    @Option(
            names = "--processes",
            paramLabel = "N",
            description = "Train in so many processes of this machine, each with a batch of its own: a step then is N "
                    + "times as large. If one dies, all go on from the last checkpoint (default: 1).")
    private int processes = 1;

    @Option(names = "--rank", hidden = true, description = "Which of the processes this one is.")
    private int rank = -1;

    @Option(names = "--meeting", hidden = true, description = "The file by which the processes find each other.")
    private @Nullable Path meeting;

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
        if (processes < 1) {
            throw new UserError("--processes " + processes + ": at least 1 is needed");
        }
        if (processes > 1 && meeting == null) {
            engine.check();
            int code = new Processes(arguments(file, folder), processes, folder, err).call(resume);
            if (code == 0) {
                spec.commandLine().getOut().println(folder.resolve("model"));
            }
            return code;
        }
        engine.start(err);
        try (ProcessGroup group = group();
                Stop stop = new Stop("stopping after this step, then saving ...", err);
                Watch watch = new Watch(stop, err)) {
            if (!Training.run(file, overrides, folder, resume, watch, group)) {
                err.println("zoetrope: stopped; go on with --resume");
                return INTERRUPTED;
            }
        }
        spec.commandLine().getOut().println(folder.resolve("model"));
        return 0;
    }

    private ProcessGroup group() {
        if (meeting == null) {
            return ProcessGroup.ALONE;
        }
        Processes.endWithParent();
        return ProcessGroup.join(meeting, "127.0.0.1", rank, processes, PATIENCE_SECONDS);
    }

    /** What each process is started with. */
    private List<String> arguments(Path file, Path folder) {
        List<String> r = new ArrayList<>(List.of("train", file.toString(), "--run", folder.toString()));
        overrides.forEach((key, value) -> r.addAll(List.of("--set", key + "=" + value)));
        r.addAll(engine.arguments());
        return r;
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
