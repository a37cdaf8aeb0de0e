package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Recaption;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.training.recaption.RecaptionEvaluation;
import dev.zoetrope.training.sora.SoraEvaluation;
import dev.zoetrope.world.WorldObjects;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures what re-captioning is worth. */
@Command(
        name = "recaption",
        sortOptions = false,
        description = {
            "Ask a text-to-video model of the built-in world for the same scenes by mistyped wishes, by what re-captioning",
            "makes of them, and by true captions.",
            "  zoetrope evaluate recaption --recaption runs/recaption/model --clips 200"
        })
final class EvaluateRecaption implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private RecaptionOption recaption;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "The text-to-video model, one trained on the built-in world (default: the built-in one).")
    private @Nullable Path model;

    @Option(names = "--clips", paramLabel = "N", description = "Clips a row of the table (default: ${DEFAULT-VALUE}).")
    private int clips = 200;

    @Option(names = "--objects", paramLabel = "N", description = "First objects of the world (default: 30).")
    private int objects = 30;

    @Option(names = "--steps", paramLabel = "N", description = "Steps of the solver (default: ${DEFAULT-VALUE}).")
    private int steps = 16;

    @Option(names = "--guidance", paramLabel = "X", description = "Guidance (default: ${DEFAULT-VALUE}).")
    private double guidance = 2.5;

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
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        String table;
        try (Stop stop = new Stop("stopping ...", err);
                Sora sora = Sora.load(model == null ? BuiltIn.folder(BuiltIn.SORA) : model);
                ObjectJudge judge = ObjectJudge.builtIn();
                Recaption words = recaption.load(err);
                Bar bar = new Bar("clips", 0, 3L * clips, err)) {
            SoraEvaluation evaluation = new SoraEvaluation(
                    sora, judge, WorldObjects.first(objects), new SoraEvaluation.Settings(clips, steps, guidance));
            table = new RecaptionEvaluation(words).table(evaluation, clips, (done, of) -> {
                bar.step(done);
                if (stop.requested()) {
                    throw new CancellationException("stopped after " + done + " clips");
                }
                return true;
            });
        }
        spec.commandLine().getOut().print(table);
        spec.commandLine().getOut().flush();
        if (output != null) {
            AtomicFile.write(output, out -> out.write(table.getBytes(StandardCharsets.UTF_8)));
        }
        return 0;
    }
}
