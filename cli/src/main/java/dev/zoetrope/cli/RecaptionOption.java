package dev.zoetrope.cli;

import dev.zoetrope.tasks.Recaption;
import java.io.PrintWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which model turns wishes into captions. */
final class RecaptionOption {
    private static final String BUILT_IN = "builtin";

    @Option(
            names = "--recaption",
            paramLabel = "DIR|NAME|builtin",
            description = "Let a language model turn the prompt into the detailed caption that the video model knows: "
                    + "builtin for the built-in world, or a chat model, such as Qwen/Qwen2-0.5B-Instruct.")
    private @Nullable String model;

    boolean wanted() {
        return model != null;
    }

    /** The model that is named; the built-in one where none is. */
    Recaption load(PrintWriter err) {
        return model == null || model.equals(BUILT_IN)
                ? Recaption.builtIn()
                : Recaption.load(ModelOption.fetched(model, err));
    }
}
