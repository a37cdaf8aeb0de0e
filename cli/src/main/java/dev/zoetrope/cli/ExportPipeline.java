package dev.zoetrope.cli;

import dev.zoetrope.tasks.TextToImage;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Writes a pipeline of pictures as a folder that diffusers reads. */
@Command(
        name = "export",
        sortOptions = false,
        description = {
            "Write a pipeline that makes pictures as a folder that diffusers reads, LoRAs merged into its weights.",
            "  zoetrope export --model v1-5-pruned.safetensors -o stable-diffusion-v1-5",
            "  zoetrope export --model DIR --lora style.safetensors:0.8 --half -o DIR-in-style"
        })
final class ExportPipeline implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private EngineOptions engine;

    @Mixin
    private PictureModelOption model;

    @Mixin
    private LoraOption loras;

    @Option(names = "--half", description = "Write float16: half the size.")
    private boolean half;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "DIR",
            description = "A folder that is not there yet.")
    private Path output;

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        engine.start(err);
        try (TextToImage pipeline = TextToImage.load(model.folder(err))) {
            loras.addTo(pipeline::addLora);
            pipeline.save(output, half);
        }
        spec.commandLine().getOut().println(output);
        spec.commandLine().getOut().flush();
        return 0;
    }
}
