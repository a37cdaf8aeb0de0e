package dev.zoetrope.cli;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import dev.zoetrope.media.Sounds;
import dev.zoetrope.tasks.AudioTokenizer;
import dev.zoetrope.tasks.Tokens;
import dev.zoetrope.tasks.VideoTokenizer;
import dev.zoetrope.tensor.Scope;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Turns tokens into a clip, a picture or a sound again. */
@Command(
        name = "detokenize",
        sortOptions = false,
        description = {
            "Turn tokens into a clip, a picture or a sound again.",
            "  zoetrope detokenize speech.tokens --model facebook/encodec_24khz -o speech.wav"
        })
final class Detokenize implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "TOKENS", description = "What zoetrope tokenize made.")
    private Path file;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|ORG/NAME",
            description = "The model that made the tokens.")
    private String model;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "Where the clip, picture or sound goes; its ending tells the format.")
    private Path output;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        Path folder = ModelOption.fetched(model, err);
        engine.start(err);
        try (Scope s = Scope.open()) {
            Tokens tokens = Tokens.read(file);
            if (VideoTokenizer.isIn(folder)) {
                try (VideoTokenizer tokenizer = VideoTokenizer.load(folder)) {
                    Clip clip = tokenizer.decode(tokens);
                    Clips.requireWritable(output, clip.frames().size());
                    Clips.write(clip, output);
                }
            } else {
                try (AudioTokenizer tokenizer = AudioTokenizer.load(folder)) {
                    Sounds.write(tokenizer.decode(tokens), output);
                }
            }
        }
        return 0;
    }
}
