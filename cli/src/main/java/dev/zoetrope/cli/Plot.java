package dev.zoetrope.cli;

import dev.zoetrope.training.RunReport;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Draws the curves of a training. */
@Command(
        name = "plot",
        description = {
            "Draw the curves of a training, which may still run, with its sample sheets and recipe, on one page.",
            "  zoetrope plot runs/sora",
            "  zoetrope plot runs/sora -o curves.png"
        })
final class Plot implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "RUN", description = "Folder of the training, as train --run has it.")
    private Path run;

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "A page .html, or the curves alone as .png (default: report.html in the folder).")
    private @Nullable Path output;

    @Override
    public Integer call() {
        Path file = output == null ? run.resolve("report.html") : output;
        if (file.toString().toLowerCase(Locale.ROOT).endsWith(".png")) {
            RunReport.png(run, file);
        } else {
            RunReport.html(run, file);
        }
        spec.commandLine().getOut().println(file);
        return 0;
    }
}
