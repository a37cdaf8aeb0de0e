package dev.zoetrope.cli;

import dev.zoetrope.tasks.Quantize;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Writes a chat model in fewer bits. */
@Command(
        name = "quantize",
        sortOptions = false,
        description = {
            "Write a chat model with its language model in 8 or 4 bits a weight; chat loads it as any other.",
            "  zoetrope quantize --model llava-hf/llava-1.5-7b-hf --to int4 -o llava-int4"
        })
final class QuantizeModel implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|ORG/NAME",
            description = "Folder of a model, or its name on the hub.")
    private String model;

    @Option(names = "--to", required = true, paramLabel = "KIND", description = "int8 or int4.")
    private String kind;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "DIR",
            description = "Folder to write; it must not be there yet.")
    private Path output;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() {
        PackedWeight.Kind to = PackedWeight.Kind.of(kind);
        if (Files.exists(output)) {
            throw new UserError(output + ": is there already; name another folder, or remove it first");
        }
        PrintWriter err = spec.commandLine().getErr();
        Path folder = ModelOption.fetched(model, err);
        engine.start(err);
        Quantize.write(folder, output, to);
        spec.commandLine().getOut().println(output);
        return 0;
    }
}
