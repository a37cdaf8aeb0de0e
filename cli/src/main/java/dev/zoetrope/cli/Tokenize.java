package dev.zoetrope.cli;

import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Clips;
import dev.zoetrope.tasks.AudioTokenizer;
import dev.zoetrope.tasks.Tokens;
import dev.zoetrope.tasks.VideoTokenizer;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Turns a clip, a picture or a sound into tokens. */
@Command(
        name = "tokenize",
        sortOptions = false,
        description = {
            "Turn a clip, a picture or a sound into tokens, and tell how much of it they keep.",
            "  zoetrope tokenize speech.wav --model facebook/encodec_24khz -o speech.tokens"
        })
final class Tokenize implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "FILE", description = "A clip, a picture or a sound; a clip's sound for a model of sound.")
    private Path file;

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|ORG/NAME",
            description = "Emu3 or its tokenizer for pictures, EnCodec or DAC for sound.")
    private String model;

    @Option(
            names = {"-o", "--output"},
            required = true,
            paramLabel = "FILE",
            description = "Where the tokens go.")
    private Path output;

    @Option(
            names = "--bandwidth",
            paramLabel = "KBIT",
            description = "Of an EnCodec, in kbit/s (default: all its codebooks).")
    private @Nullable Double bandwidth;

    @Option(
            names = "--frames",
            paramLabel = "N",
            description = "Of a clip, at most so many from its start (default: all).")
    private int frames = Integer.MAX_VALUE;

    @Option(
            names = "--no-check",
            description = "Do not decode the tokens again to tell what they keep, which takes as long again.")
    private boolean unchecked;

    @Mixin
    private EngineOptions engine;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        if (frames < 1) {
            throw new UserError("--frames " + frames + ": at least 1 is needed");
        }
        Path folder = ModelOption.fetched(model, err);
        engine.start(err);
        try (Scope s = Scope.open()) {
            String kept = VideoTokenizer.isIn(folder) ? clip(folder) : sound(folder, err);
            out.println(output + ": " + kept);
            out.flush();
        }
        return 0;
    }

    private String clip(Path folder) {
        Clip clip = Clips.read(file, Clips.Limits.first(frames));
        try (VideoTokenizer tokenizer = VideoTokenizer.load(folder)) {
            Tokens tokens = tokenizer.encode(clip);
            tokens.write(output);
            return told(tokens, unchecked ? "" : db("PSNR", VideoTokenizer.psnr(clip, tokenizer.decode(tokens))));
        }
    }

    private String sound(Path folder, PrintWriter err) {
        try (AudioTokenizer tokenizer = AudioTokenizer.load(folder, bandwidth)) {
            AudioTokenizer.Encoded e = tokenizer.encode(file, !unchecked);
            if (e.rate() != tokenizer.rate()) {
                err.println("zoetrope: " + file + " is resampled from " + e.rate() + " to " + tokenizer.rate() + " Hz");
            }
            if (e.channels() != tokenizer.channels()) {
                err.println("zoetrope: " + file + " has " + e.channels() + " channels, the model takes "
                        + tokenizer.channels());
            }
            e.tokens().write(output);
            return told(e.tokens(), unchecked ? "" : db("SNR", e.snr()));
        }
    }

    private static String told(Tokens tokens, String quality) {
        return tokens.count() + " tokens of " + tokens.tokenizer() + quality;
    }

    private static String db(String name, double value) {
        return ", " + name + " "
                + (Double.isNaN(value) || value == Double.NEGATIVE_INFINITY
                        ? "none, for it is silent"
                        : String.format(Locale.ROOT, "%.2f dB", value));
    }
}
