package dev.zoetrope.cli;

import dev.zoetrope.checkpoint.Fast;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** Whether a command's model is loaded for speed; for commands that load one through {@link #load}. */
final class FastOption {
    @Option(
            names = "--fast",
            description =
                    "Multiply in bfloat16 where this processor is faster at it: answers move by less than a percent.")
    private boolean fast;

    /** Holds while a model is loaded. */
    Fast open() {
        return Fast.onIf(fast);
    }

    <T> T load(Supplier<T> model) {
        try (Fast f = open()) {
            return model.get();
        }
    }
}
