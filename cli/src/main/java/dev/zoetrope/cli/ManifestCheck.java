package dev.zoetrope.cli;

import dev.zoetrope.parity.Parity;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Holds models to the tensors of published checkpoints, which need not be there themselves. */
@Command(
        name = "manifest",
        description = {
            "Check that models ask for exactly the tensors that published checkpoints have, by lists of",
            "their names and shapes. Exit code 1 if any does not fit."
        })
final class ManifestCheck implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Manifests, or folders of them.")
    private List<Path> files;

    @Override
    public Integer call() {
        return Parity.manifests(files, System.out).ok() ? 0 : 1;
    }
}
