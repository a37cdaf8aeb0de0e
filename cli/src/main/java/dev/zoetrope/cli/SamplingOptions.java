package dev.zoetrope.cli;

import dev.zoetrope.models.language.Sampling;
import dev.zoetrope.tasks.AnyToAny;
import dev.zoetrope.tasks.Caption;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How words are chosen, for commands that write text. */
final class SamplingOptions {
    @Option(
            names = "--max-tokens",
            paramLabel = "N",
            description = "Longest answer (default: 512; 30 for captions by BLIP-2).")
    private @Nullable Integer maxTokens;

    @Option(
            names = "--temperature",
            paramLabel = "X",
            description = "Higher is more varied, 0 takes the likeliest word (default: as the model says).")
    private @Nullable Double temperature;

    @Option(names = "--top-p", paramLabel = "X", description = "Draw from the likeliest words of together X.")
    private @Nullable Double topP;

    @Option(names = "--top-k", paramLabel = "N", description = "Draw from the N likeliest words.")
    private @Nullable Integer topK;

    @Option(
            names = "--repetition-penalty",
            paramLabel = "X",
            description = "Above 1, what was said becomes less likely.")
    private @Nullable Double repetitionPenalty;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed draws the same words (default: random).")
    private @Nullable Long seed;

    @Option(names = "--greedy", description = "Take the likeliest word each time.")
    private boolean greedy;

    /** Refuses what cannot be, before a model is loaded. */
    void check() {
        if (maxTokens != null && maxTokens < 1) {
            throw new UserError("--max-tokens " + maxTokens + ": at least 1 is needed");
        }
        if (greedy && (temperature != null || topP != null || topK != null)) {
            throw new UserError("--greedy takes the likeliest word: leave out --temperature, --top-p and --top-k");
        }
        apply(Sampling.of(1));
    }

    Chat.Options options(Path folder) {
        Chat.Options o = Chat.Options.DEFAULT;
        return (maxTokens == null ? o : o.withMaxTokens(maxTokens))
                .with(apply(Chat.sampling(folder)))
                .withSeed(drawn());
    }

    /** These captions, drawn or greedy where it is asked for. */
    Caption.Options captions(Caption.Options start) {
        Caption.Options o = maxTokens == null ? start : start.withMaxTokens(maxTokens);
        Sampling how = apply(o.sampling());
        return greedy || !how.isGreedy() ? o.with(how, drawn()) : o;
    }

    /** The same length and seed; such a model takes the likeliest word. */
    AnyToAny.Options options(AnyToAny.Options start) {
        return (maxTokens == null ? start : start.withTokens(maxTokens)).withSeed(drawn());
    }

    private long drawn() {
        return seed != null ? seed : ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE);
    }

    private Sampling apply(Sampling start) {
        Sampling r = start;
        if ((topP != null || topK != null) && temperature == null && r.isGreedy()) {
            r = r.withTemperature(1);
        }
        r = temperature == null ? r : r.withTemperature(temperature);
        r = topP == null ? r : r.withTopP(topP);
        r = topK == null ? r : r.withTopK(topK);
        r = repetitionPenalty == null ? r : r.withRepetitionPenalty(repetitionPenalty);
        return greedy ? r.withTemperature(0) : r;
    }
}
