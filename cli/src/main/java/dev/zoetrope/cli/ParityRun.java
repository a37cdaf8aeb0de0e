package dev.zoetrope.cli;

import dev.zoetrope.parity.Parity;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Holds models to the answers of reference implementations. */
@Command(
        name = "parity",
        description = {
            "Run every reference case below the folders and print a line an output:",
            "PASS|FAIL system/case output error tolerance. Exit code 1 if any fails."
        })
final class ParityRun implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Parameters(arity = "1..*", paramLabel = "DIR", description = "Folders of cases.")
    private List<Path> folders;

    @Override
    public Integer call() {
        engine.start(spec.commandLine().getErr());
        return Parity.run(folders, System.out).ok() ? 0 : 1;
    }
}
