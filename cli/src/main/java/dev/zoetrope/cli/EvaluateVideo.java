package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.media.Clip;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.TextToVideo;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.training.video.FolderEvaluation;
import dev.zoetrope.training.video.LongEvaluation;
import dev.zoetrope.training.video.VideoEvaluation;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures how coherent clips are. */
@Command(
        name = "video",
        sortOptions = false,
        description = {
            "Measure how coherent clips are: whether objects stay what they are, move smoothly, do not flicker, keep their",
            "ground, show what the prompt says, and how far the clips as a whole are from true ones.",
            "  zoetrope evaluate video --clips 100",
            "  zoetrope evaluate video --model runs/sora/model --seconds 60 --clips 8",
            "  zoetrope evaluate video --folder clips/ --reference real/ --encoder openai/clip-vit-base-patch32"
        })
final class EvaluateVideo implements Callable<Integer> {
    private static final String BUILT_IN = "builtin";

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Option(
            names = "--model",
            paramLabel = "DIR|NAME|builtin",
            description = "A model that was trained on the built-in world (default: ${DEFAULT-VALUE}).")
    private String model = BUILT_IN;

    @Option(
            names = "--folder",
            paramLabel = "DIR",
            description = "Clips to measure instead of a model's: what can be told without knowing the truth.")
    private @Nullable Path folder;

    @Option(
            names = "--reference",
            paramLabel = "DIR",
            description = "Clips to which the Frechet distance is measured (default: true clips of the built-in world; "
                    + "with --folder: none).")
    private @Nullable Path reference;

    @Option(
            names = "--encoder",
            paramLabel = "DIR|NAME",
            description = "With --folder: a CLIP or SigLIP, which also says how clips fit the prompts in their files "
                    + "(default: the judge of the built-in world).")
    private @Nullable String encoder;

    @Option(
            names = "--seconds",
            paramLabel = "X",
            description = "Compare the first second with the last of clips as long as this.")
    private @Nullable Double seconds;

    @Option(names = "--clips", paramLabel = "N", description = "Clips a row of the table (default: ${DEFAULT-VALUE}).")
    private int clips = 100;

    @Option(names = "--objects", paramLabel = "N", description = "First objects of the world (default: 30).")
    private int objects = 30;

    @Option(names = "--frames", paramLabel = "N", description = "Frames of a clip (default: ${DEFAULT-VALUE}).")
    private int frames = 16;

    @Option(
            names = "--size",
            paramLabel = "WxH",
            converter = PixelSize.Converter.class,
            description = "Pixels (default: 64x64).")
    private PixelSize size = new PixelSize(64, 64);

    @Option(names = "--steps", paramLabel = "N", description = "Steps of the solver (default: ${DEFAULT-VALUE}).")
    private int steps = 16;

    @Option(names = "--guidance", paramLabel = "X", description = "Guidance (default: ${DEFAULT-VALUE}).")
    private double guidance = 2.5;

    @Option(names = "--judge", paramLabel = "DIR", description = "Folder of the judge (default: the built-in one).")
    private @Nullable Path judge;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "Also write the table to this file.")
    private @Nullable Path output;

    @Override
    public Integer call() {
        if (clips < 1) {
            throw new UserError("--clips " + clips + ": at least 1 is needed");
        }
        if (frames < 2) {
            throw new UserError("--frames " + frames + ": coherence needs at least 2");
        }
        if (folder != null && seconds != null) {
            throw new UserError("--seconds goes with --model; the clips of --folder are as long as they are");
        }
        if (encoder != null && folder == null) {
            throw new UserError("--encoder goes with --folder; clips of the built-in world have their own judge");
        }
        if (seconds != null && !(seconds >= 1 && seconds <= Generate.LONGEST)) {
            throw new UserError("--seconds " + seconds + " is not between 1 and " + Generate.LONGEST);
        }
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        String table;
        try (ObjectJudge seeing = judge == null ? ObjectJudge.builtIn() : ObjectJudge.load(judge)) {
            table = folder != null ? folder(folder, seeing, err) : model(seeing, err);
        }
        spec.commandLine().getOut().print(table);
        spec.commandLine().getOut().flush();
        if (output != null) {
            AtomicFile.write(output, out -> out.write(table.getBytes(StandardCharsets.UTF_8)));
        }
        return 0;
    }

    private String folder(Path from, ObjectJudge seeing, PrintWriter err) {
        List<Path> files = FolderEvaluation.clips(from);
        List<Path> real = reference == null ? List.of() : FolderEvaluation.clips(reference);
        return measured(err, progress -> {
            if (encoder == null) {
                return FolderEvaluation.table(FolderEvaluation.run(files, real, seeing, null, progress));
            }
            try (Embed embed = Embed.load(ModelOption.fetched(encoder, err))) {
                return FolderEvaluation.table(FolderEvaluation.run(files, real, seeing, embed, progress));
            }
        });
    }

    private String model(ObjectJudge seeing, PrintWriter err) {
        List<WorldObject> known = WorldObjects.first(objects);
        VideoEvaluation.Settings settings =
                new VideoEvaluation.Settings(clips, frames, size.width(), size.height(), steps, guidance);
        List<Clip> real = reference == null
                ? List.of()
                : FolderEvaluation.clips(reference).stream()
                        .map(FolderEvaluation::read)
                        .toList();
        try (TextToVideo maker = model.equals(BUILT_IN) ? TextToVideo.builtIn() : TextToVideo.load(model)) {
            if (seconds != null) {
                LongEvaluation evaluation = new LongEvaluation(maker, seeing, known, settings);
                return measured(err, progress -> LongEvaluation.table(evaluation.run(seconds, progress), seconds));
            }
            VideoEvaluation evaluation = new VideoEvaluation(seeing, known, settings);
            return measured(
                    err,
                    progress ->
                            VideoEvaluation.table(evaluation.run(VideoEvaluation.of(maker, settings), real, progress)));
        }
    }

    /** With a bar, and Ctrl-C as the wish to stop. */
    private static String measured(PrintWriter err, Function<Progress, String> work) {
        Bar[] bar = new Bar[1];
        try (Stop stop = new Stop("stopping ...", err)) {
            return work.apply((done, of) -> {
                if (bar[0] == null) {
                    bar[0] = new Bar("evaluate", 0, of, err);
                }
                bar[0].step(done);
                return !stop.requested();
            });
        } finally {
            if (bar[0] != null) {
                bar[0].close();
            }
        }
    }
}
