package dev.zoetrope.models.t5;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * T5, text to text, arXiv:1910.10683: the original, v1.1 and Flan-T5 (google/flan-t5-xl), mT5 and UMT5.
 *
 * <p>Axes: B rows, S tokens of the source, T tokens of the target, D d_model, V vocabulary.
 */
public final class T5 implements AutoCloseable {
    private final Weights weights;
    private final T5Config config;
    private final Embedding words;
    private final T5Stack encoder;
    private final T5Stack decoder;
    private final Linear head;

    public T5(T5Config c, Weights published) {
        Weights w = T5Stack.initialised(c, published);
        weights = published;
        config = c;
        words = T5Encoder.words(c, w, "encoder", "decoder");
        encoder = new T5Stack(c, w.at("encoder"), false);
        decoder = new T5Stack(c, w.at("decoder"), true);
        if (c.tiedHead()) {
            head = new Linear(w.tied("lm_head.weight", w.at("shared").path() + ".weight"), null);
        } else {
            head = new Linear(w.at("lm_head"), c.hidden(), c.vocabularySize(), false);
        }
    }

    public static T5 load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new T5(T5Config.of(json), w));
    }

    /** The vectors of tokens. {@code [B, T]} -> {@code [B, T, D]}. */
    public Tensor embed(Tensor ids) {
        return words.forward(ids);
    }

    /**
     * The source as the decoder sees it.
     *
     * @param embedded {@code [B, S, D]}, of {@link #embed} or of another model
     * @param mask {@code [B, S]}, not 0 for real tokens; null where all are
     * @return what comes out of each block, last of all the output; each {@code [B, S, D]}
     */
    public List<Tensor> encode(Tensor embedded, @Nullable Tensor mask) {
        return encoder.forward(embedded, mask, null, null, null);
    }

    /**
     * What the decoder makes of the target's tokens so far.
     *
     * @param ids {@code [B, T]} INT64, the first of each row the start token
     * @param encoded {@code [B, S, D]}
     * @return what comes out of each block, last of all the output; each {@code [B, T, D]}
     */
    public List<Tensor> decode(Tensor ids, Tensor encoded, @Nullable Tensor mask) {
        return decoder.forward(words.forward(ids), null, encoded, mask, null);
    }

    /** Scores of the next token, {@code [B, T, D] -> [B, T, V]}. */
    public Tensor logits(Tensor decoded) {
        return head.forward(config.scaledHead() ? decoded.mul(Math.pow(config.hidden(), -0.5)) : decoded);
    }

    /**
     * @param ids {@code [B, 1 + new]} INT64, from the start token on; rows that ended are filled with {@code pad}
     * @param stepLogits {@code [B, new, V]}
     */
    public record Generated(Tensor ids, Tensor stepLogits) {}

    /**
     * The likeliest token at each step, until every row has ended.
     *
     * @param encoded {@code [B, S, D]}
     * @param mask {@code [B, S]}; null where all tokens are real
     * @param pad fills rows that ended before others
     */
    public Generated generate(Tensor encoded, @Nullable Tensor mask, int maxNewTokens, int pad) {
        Check.positive(maxNewTokens, "max_new_tokens");
        int rows = (int) encoded.size(0);
        List<T5Stack.Cache> caches = decoder.caches();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            long[] next = new long[rows];
            Arrays.fill(next, config.start());
            boolean[] ended = new boolean[rows];
            List<Tensor> ids = new ArrayList<>(List.of(Tensor.of(next, rows, 1)));
            List<Tensor> scores = new ArrayList<>();
            while (scores.size() < maxNewTokens && !all(ended)) {
                Tensor step = step(ids.get(ids.size() - 1), encoded, mask, caches); // [B, 1, V]
                scores.add(step);
                long[] best = step.select(1, 0).argmax(-1).toLongs();
                for (int i = 0; i < rows; i++) {
                    next[i] = ended[i] ? pad : best[i];
                    ended[i] |= best[i] == config.end();
                }
                ids.add(Tensor.of(next, rows, 1));
            }
            return new Generated(s.keep(Tensor.cat(1, ids)), s.keep(Tensor.cat(1, scores)));
        } finally {
            caches.forEach(T5Stack.Cache::close);
        }
    }

    private Tensor step(Tensor ids, Tensor encoded, @Nullable Tensor mask, List<T5Stack.Cache> caches) {
        try (Scope s = Scope.open()) {
            List<Tensor> decoded = decoder.forward(words.forward(ids), null, encoded, mask, caches);
            return s.keep(logits(decoded.get(decoded.size() - 1)));
        }
    }

    private static boolean all(boolean[] ended) {
        for (boolean e : ended) {
            if (!e) {
                return false;
            }
        }
        return true;
    }

    public T5Config config() {
        return config;
    }

    @Override
    public void close() {
        weights.close();
    }
}
