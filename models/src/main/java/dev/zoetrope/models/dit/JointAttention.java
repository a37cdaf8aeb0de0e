package dev.zoetrope.models.dit;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Attention over the tokens of text and picture together, each with projections of its own, arXiv:2403.03206.
 *
 * <p>Axes: B pictures, N picture tokens, L text tokens, D hidden size.
 */
final class JointAttention {
    /** Picture {@code [B, N, D]} and text {@code [B, L, D]}. */
    record Tokens(Tensor picture, Tensor text) {
        Tokens keptIn(Scope s) {
            return new Tokens(s.keep(picture), s.keep(text));
        }

        /** The next block's tokens; these are freed if the scope owns them. */
        Tokens replacedBy(Scope s, Tokens next) {
            return new Tokens(s.replace(picture, next.picture), s.replace(text, next.text));
        }
    }

    private final Stream picture;
    private final Stream text;
    private final Linear output;
    private final @Nullable Linear textOutput;

    /** @param textGoesOn whether the text is needed after it; the last block of some models only reads it */
    JointAttention(Weights w, int hidden, int heads, boolean normed, boolean textGoesOn) {
        picture = Stream.picture(w, hidden, heads, normed);
        text = new Stream(w, hidden, heads, normed, "add_q_proj", "add_k_proj", "add_v_proj", "norm_added_");
        output = new Linear(w.at("to_out.0"), hidden, hidden);
        textOutput = textGoesOn ? new Linear(w.at("to_add_out"), hidden, hidden) : null;
    }

    /** @param rotary over text tokens, then picture tokens; null where the places are in the tokens */
    Tokens forward(Tokens x, @Nullable Rotary rotary) {
        try (Scope s = Scope.open()) {
            Tensor q = Tensor.cat(2, text.query(x.text), picture.query(x.picture)); // [B, heads, L + N, D / heads]
            Tensor k = Tensor.cat(2, text.key(x.text), picture.key(x.picture));
            Tensor v = Tensor.cat(2, text.value(x.text), picture.value(x.picture));
            Tensor y = attend(q, k, v, rotary); // [B, L + N, D]
            long words = x.text.size(1);
            Tensor after = y.narrow(1, 0, words);
            return new Tokens(
                            output.forward(y.narrow(1, words, x.picture.size(1))),
                            textOutput == null ? after : textOutput.forward(after))
                    .keptIn(s);
        }
    }

    private static Tensor attend(Tensor q, Tensor k, Tensor v, @Nullable Rotary rotary) {
        Tensor turnedQ = rotary == null ? q : rotary.neighbours(q);
        Tensor turnedK = rotary == null ? k : rotary.neighbours(k);
        return Heads.merge(Functional.attention(turnedQ, turnedK, v, null, false, null));
    }

    /** Queries, keys and values of one kind of tokens, {@code [B, T, D] -> [B, heads, T, D / heads]}. */
    static final class Stream {
        private static final double EPS = 1e-6;

        private final Linear toQuery;
        private final Linear toKey;
        private final Linear toValue;
        private final @Nullable RmsNorm queryNorm;
        private final @Nullable RmsNorm keyNorm;
        private final int heads;

        private Stream(
                Weights w, int hidden, int heads, boolean normed, String q, String k, String v, String normPrefix) {
            this.heads = heads;
            toQuery = new Linear(w.at(q), hidden, hidden);
            toKey = new Linear(w.at(k), hidden, hidden);
            toValue = new Linear(w.at(v), hidden, hidden);
            queryNorm = normed ? new RmsNorm(w.at(normPrefix + "q"), hidden / heads, EPS) : null;
            keyNorm = normed ? new RmsNorm(w.at(normPrefix + "k"), hidden / heads, EPS) : null;
        }

        static Stream picture(Weights w, int hidden, int heads, boolean normed) {
            return new Stream(w, hidden, heads, normed, "to_q", "to_k", "to_v", "norm_");
        }

        Tensor query(Tensor x) {
            Tensor q = Heads.split(toQuery.forward(x), heads);
            return queryNorm == null ? q : queryNorm.forward(q);
        }

        Tensor key(Tensor x) {
            Tensor k = Heads.split(toKey.forward(x), heads);
            return keyNorm == null ? k : keyNorm.forward(k);
        }

        Tensor value(Tensor x) {
            return Heads.split(toValue.forward(x), heads);
        }

        /** Attention of these tokens among themselves, {@code [B, T, D] -> [B, T, D]}, without output projection. */
        Tensor attend(Tensor x, @Nullable Rotary rotary) {
            try (Scope s = Scope.open()) {
                return s.keep(JointAttention.attend(query(x), key(x), value(x), rotary));
            }
        }
    }
}
