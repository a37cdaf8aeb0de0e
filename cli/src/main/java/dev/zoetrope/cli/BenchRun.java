package dev.zoetrope.cli;

import dev.zoetrope.bench.Bench;
import dev.zoetrope.checkpoint.Fast;
import dev.zoetrope.tensor.DType;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times what models are made of. */
@Command(
        name = "bench",
        sortOptions = false,
        description = "Time operators, blocks and steps of published sizes; prints a line of JSON for each.")
final class BenchRun implements Runnable {
    private enum Precision {
        FLOAT32,
        BFLOAT16
    }

    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private FastOption fast;

    @Option(names = "--list", description = "Print the names and what one run of each does.")
    private boolean list;

    @Option(
            names = "--only",
            paramLabel = "NAME",
            description = "Run this one (repeatable); its peak memory is its own.")
    private List<String> only = List.of();

    @Option(names = "--dtype", paramLabel = "TYPE", description = "float32 (default) or bfloat16.")
    private Precision dtype = Precision.FLOAT32;

    @Option(names = "--repeat", paramLabel = "N", description = "Timed runs (default: 5).")
    private int repeat = 5;

    @Option(names = "--warmup", paramLabel = "N", description = "Runs before those (default: 1).")
    private int warmup = 1;

    @Override
    public void run() {
        if (list) {
            var out = spec.commandLine().getOut();
            Bench.list().forEach(out::println);
            out.flush();
            return;
        }
        engine.start(spec.commandLine().getErr());
        try (Fast products = fast.open()) {
            Bench.run(
                    new Bench.Options(only, DType.valueOf(dtype.name()), products.chosen(), repeat, warmup),
                    System.out);
        }
    }
}
