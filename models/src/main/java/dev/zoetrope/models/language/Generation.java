package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Text, token by token, from any model that has {@link Steps}.
 *
 * <p>Axes: B rows, V vocabulary.
 */
public final class Generation {
    /**
     * @param maxNewTokens at which every row ends
     * @param beams how many continuations of each row are followed; 1 for none but the one that is written
     * @param lengthPenalty power of the length by which a beam's score is divided
     * @param earlyStopping whether beams end as soon as enough of them are complete
     * @param ends tokens that end a text
     * @param pad fills rows that end before others
     * @param seed of what is drawn
     */
    public record Options(
            int maxNewTokens,
            Sampling sampling,
            int beams,
            double lengthPenalty,
            boolean earlyStopping,
            Set<Integer> ends,
            int pad,
            long seed) {
        public Options {
            Check.positive(maxNewTokens, "max_new_tokens");
            Check.positive(beams, "num_beams");
            ends = Set.copyOf(ends);
        }

        public static Options greedy(int maxNewTokens) {
            return new Options(maxNewTokens, Sampling.GREEDY, 1, 1, false, Set.of(), 0, 0);
        }

        /** The end and padding tokens of a checkpoint, by generation_config.json or else config.json. */
        public Options withTokensOf(Path folder) {
            Path file = folder.resolve("generation_config.json");
            Json config = Json.read(folder.resolve("config.json"));
            return withTokensOf(Files.isRegularFile(file) ? Json.read(file) : Json.empty(), config);
        }

        /** The end and padding tokens of the first of these that names them. */
        public Options withTokensOf(Json... configs) {
            Set<Integer> found = new TreeSet<>();
            int padding = -1;
            for (Json j : configs) {
                if (found.isEmpty() && j.has("eos_token_id")) {
                    int[] all = j.isArray("eos_token_id")
                            ? j.get("eos_token_id", new int[0])
                            : new int[] {j.requireInt("eos_token_id")};
                    Arrays.stream(all).forEach(found::add);
                }
                padding = padding < 0 ? j.get("pad_token_id", -1) : padding;
            }
            int fill = padding >= 0
                    ? padding
                    : found.isEmpty() ? 0 : found.iterator().next();
            return new Options(maxNewTokens, sampling, beams, lengthPenalty, earlyStopping, found, fill, seed);
        }

        public Options with(Sampling how) {
            return new Options(maxNewTokens, how, beams, lengthPenalty, earlyStopping, ends, pad, seed);
        }

        public Options withBeams(int count, double penalty, boolean early) {
            return new Options(maxNewTokens, sampling, count, penalty, early, ends, pad, seed);
        }

        public Options withEnds(Set<Integer> tokens, int padding) {
            return new Options(maxNewTokens, sampling, beams, lengthPenalty, earlyStopping, tokens, padding, seed);
        }

        public Options withSeed(long value) {
            return new Options(maxNewTokens, sampling, beams, lengthPenalty, earlyStopping, ends, pad, value);
        }
    }

    /** Is told each row's token as soon as it is chosen; not with beams, which choose last. */
    @FunctionalInterface
    public interface Listener {
        Listener NONE = ids -> true;

        /**
         * @param ids one a row; the padding token for a row that has ended
         * @return false to stop here
         */
        boolean chosen(long... ids);
    }

    /** Is told the scores of each step, {@code [B, V]}, before anything is done to them. */
    @FunctionalInterface
    public interface Observer {
        Observer NONE = scores -> {};

        void scores(Tensor logits);
    }

    private Generation() {}

    /** A decoder's continuation of token rows. {@code ids [B, T]} INT64 -> the new tokens, {@code [B, new]}. */
    public static Tensor run(LanguageModel model, Tensor ids, @Nullable Tensor mask, Options o) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                KvCache cache = new KvCache();
                Steps steps = Prompt.of(model, ids, mask).start(model, cache)) {
            return s.keep(run(steps, ids, o, Listener.NONE, Observer.NONE));
        }
    }

    /**
     * The new tokens, {@code [B, new]}; rows that ended before the others are filled with padding.
     *
     * @param history {@code [B, N]} INT64, what counts as said already where repetition is penalised; N may be 0
     */
    public static Tensor run(Steps steps, Tensor history, Options o, Listener listener, Observer observer) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            return s.keep(
                    o.beams > 1
                            ? new Beams(steps, history, o, observer).run()
                            : oneByOne(steps, history, o, listener, observer));
        }
    }

    private static Tensor oneByOne(Steps steps, Tensor history, Options o, Listener listener, Observer observer) {
        int rows = (int) history.size(0);
        boolean[] ended = new boolean[rows];
        List<Tensor> chosen = new ArrayList<>();
        boolean more = true;
        try (RandomSource random = RandomSource.of(o.seed)) {
            while (more) {
                long[] ids;
                try (Scope s = Scope.open()) {
                    Tensor scores = chosen.isEmpty()
                            ? steps.first()
                            : steps.next(chosen.get(chosen.size() - 1).select(1, 0));
                    observer.scores(scores);
                    ids = choose(o.sampling.apply(scores, so(history, chosen)), o, random);
                }
                for (int i = 0; i < rows; i++) {
                    ids[i] = ended[i] ? o.pad : ids[i];
                    ended[i] |= o.ends.contains((int) ids[i]);
                }
                chosen.add(Tensor.of(ids, rows, 1));
                more = listener.chosen(ids) && chosen.size() < o.maxNewTokens && !all(ended);
            }
        }
        return Tensor.cat(1, chosen);
    }

    /** All tokens so far; only repetition asks for them, so they are joined only then. */
    private static Tensor so(Tensor history, List<Tensor> chosen) {
        List<Tensor> all = new ArrayList<>(List.of(history));
        all.addAll(chosen);
        return all.size() == 1 ? history : Tensor.cat(1, all);
    }

    private static long[] choose(Tensor scores, Options o, RandomSource random) {
        if (o.sampling.isGreedy()) {
            return scores.argmax(-1).toLongs();
        }
        Tensor p = scores.softmax(-1).to(Device.CPU).to(DType.FLOAT32);
        return random.multinomial(p, 1, false).toLongs();
    }

    private static boolean all(boolean... ended) {
        for (boolean e : ended) {
            if (!e) {
                return false;
            }
        }
        return true;
    }
}
