package dev.zoetrope.models.t5;

import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Device;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
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
     * The text that belongs to a source, token by token from the start token on.
     *
     * @param encoded {@code [B, S, D]}; must live as long as the text is under way
     * @param mask {@code [B, S]}; null where all tokens are real
     */
    public Steps start(Tensor encoded, @Nullable Tensor mask) {
        return new Run(this, encoded, mask);
    }

    /** What counts as said before the first step, {@code [B, 1]}. */
    public Tensor startTokens(long rows) {
        return Tensor.full(config.start(), DType.INT64, Device.CPU, rows, 1);
    }

    private static final class Run implements Steps {
        private final T5 model;
        private final Tensor encoded;
        private final List<T5Stack.Cache> caches;
        private @Nullable Tensor mask;

        Run(T5 model, Tensor encoded, @Nullable Tensor mask) {
            this.model = model;
            this.encoded = encoded;
            this.mask = mask == null ? null : Scope.detach(mask.copy());
            caches = model.decoder.caches();
        }

        @Override
        public Tensor first() {
            try (Scope s = Scope.open()) {
                return s.keep(scores(model.startTokens(encoded.size(0))));
            }
        }

        @Override
        public Tensor next(Tensor chosen) {
            try (Scope s = Scope.open()) {
                return s.keep(scores(chosen.unsqueeze(1)));
            }
        }

        /** {@code [B, 1] -> [B, V]}. */
        private Tensor scores(Tensor ids) {
            List<Tensor> decoded = model.decoder.forward(model.words.forward(ids), null, encoded, mask, caches);
            return model.logits(decoded.get(decoded.size() - 1)).select(1, 0);
        }

        @Override
        public void select(Tensor rows) {
            caches.forEach(c -> c.select(rows));
            Tensor before = mask;
            if (before != null) {
                mask = Scope.detach(before.indexSelect(0, rows));
                before.close();
            }
        }

        @Override
        public void close() {
            caches.forEach(T5Stack.Cache::close);
            if (mask != null) {
                mask.close();
            }
        }
    }

    public T5Config config() {
        return config;
    }

    @Override
    public void close() {
        weights.close();
    }
}
