package dev.zoetrope.cli;

import dev.zoetrope.training.RecipeSummary;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Lists what can be trained. */
@Command(
        name = "recipes",
        description = "List the recipes that train takes: system, stages with their steps, data, cost.")
final class ListRecipes implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(
            paramLabel = "DIR",
            arity = "0..1",
            defaultValue = "recipes",
            description = "Folder of recipes (default: ${DEFAULT-VALUE}, those of Zoetrope).")
    private Path folder;

    @Override
    public Integer call() {
        List<RecipeSummary> all = RecipeSummary.in(folder);
        int width =
                all.stream().mapToInt(r -> r.file().toString().length()).max().orElse(0);
        int system = all.stream().mapToInt(r -> r.system().length()).max().orElse(0);
        for (RecipeSummary r : all) {
            String stages =
                    r.stages().stream().map(s -> s.name() + " " + s.steps()).collect(Collectors.joining(", "));
            spec.commandLine()
                    .getOut()
                    .printf("%-" + width + "s  %-" + system + "s  %s%n", r.file(), r.system(), stages);
            spec.commandLine().getOut().printf(" ".repeat(width + system + 4) + "%s; %s%n", r.data(), r.cost());
        }
        spec.commandLine().getOut().flush();
        return 0;
    }
}
