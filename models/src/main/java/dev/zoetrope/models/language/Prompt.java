package dev.zoetrope.models.language;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What a decoder language model continues.
 *
 * <p>Axes: B rows, T tokens, D width.
 *
 * @param embedded {@code [B, T, D]}: words, and whatever else stands between them
 * @param mask {@code [B, T]}, not 0 for real tokens, which stand at the end of each row; null where all are
 * @param positions {@code [B, T]} INT64; null to count the real tokens of each row from 0
 */
public record Prompt(Tensor embedded, @Nullable Tensor mask, @Nullable Tensor positions) {
    /** Words alone. {@code ids [B, T]} INT64. */
    public static Prompt of(LanguageModel model, Tensor ids, @Nullable Tensor mask) {
        return new Prompt(model.embed(ids), mask, null);
    }

    /**
     * Starts the text.
     *
     * @param cache that holds no token, or the ones before the prompt of a single row without a mask; stays the caller's
     */
    public Steps start(LanguageModel model, KvCache cache) {
        return new Run(model, this, cache);
    }

    private static final class Run implements Steps {
        private final LanguageModel model;
        private final Prompt prompt;
        private final KvCache cache;
        private @Nullable Tensor mask; // [B, tokens so far]
        private @Nullable Tensor position; // [B, 1], of the next token

        Run(LanguageModel model, Prompt prompt, KvCache cache) {
            this.model = model;
            this.prompt = prompt;
            this.cache = cache;
            try (Scope s = Scope.open()) {
                Tensor given = prompt.mask();
                boolean padded = given != null && !given.all();
                mask = padded ? Scope.detach(given.ne(0L).to(DType.INT64)) : null;
                Tensor places = prompt.positions();
                position = places == null
                        ? null
                        : Scope.detach(last(places).add(1L).copy());
            }
        }

        @Override
        public Tensor first() {
            try (Scope s = Scope.open()) {
                Tensor hidden = model.forward(prompt.embedded(), mask, prompt.positions(), cache);
                return s.keep(logits(hidden));
            }
        }

        @Override
        public Tensor next(Tensor chosen) {
            try (Scope s = Scope.open()) {
                if (mask != null) {
                    replaceMask(Tensor.cat(1, mask, Tensor.arange(1, 2, 1).expand(mask.size(0), 1)));
                }
                Tensor hidden = model.forward(model.embed(chosen.unsqueeze(1)), mask, position, cache);
                if (position != null) {
                    replacePosition(position.add(1L));
                }
                return s.keep(logits(hidden));
            }
        }

        /** Of the last token, {@code [B, T, D] -> [B, V]}. */
        private Tensor logits(Tensor hidden) {
            return model.logits(last(hidden)).select(1, 0);
        }

        private static Tensor last(Tensor t) {
            return t.narrow(1, t.size(1) - 1, 1);
        }

        @Override
        public void select(Tensor rows) {
            cache.select(rows);
            try (Scope s = Scope.open()) {
                if (mask != null) {
                    replaceMask(mask.indexSelect(0, rows));
                }
                if (position != null && position.size(0) > 1) {
                    replacePosition(position.indexSelect(0, rows));
                }
            }
        }

        private void replaceMask(Tensor t) {
            close(mask);
            mask = Scope.detach(t);
        }

        private void replacePosition(Tensor t) {
            close(position);
            position = Scope.detach(t);
        }

        private static void close(@Nullable Tensor t) {
            if (t != null) {
                t.close();
            }
        }

        @Override
        public void close() {
            close(mask);
            close(position);
        }
    }
}
