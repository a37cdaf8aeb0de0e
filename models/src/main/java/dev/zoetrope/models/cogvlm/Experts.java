package dev.zoetrope.models.cogvlm;

import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which of two sets of weights each token of a pass goes through. Tokens are gathered, so that each set works on a dense
 * matrix of its own tokens; where there are only words, as in every step of decoding, nothing is moved.
 *
 * <p>Axes: B rows, T tokens, D width, V tokens of pictures, W = B T - V words.
 *
 * @param vision {@code [V]} INT64, places in {@code [B T]}; null where there is none
 * @param words {@code [W]} INT64
 * @param back {@code [B T]} INT64, where each token went in (vision, words)
 */
record Experts(@Nullable Tensor vision, @Nullable Tensor words, @Nullable Tensor back) {
    private static final Experts WORDS = new Experts(null, null, null);

    /** @param past how many tokens of the row stand before these */
    static Experts of(TokenTypes types, long past, Tensor x) {
        int rows = (int) x.size(0);
        int tokens = (int) x.size(1);
        if (past + 1 >= types.length()) {
            return WORDS;
        }
        if (rows != types.rows()) {
            throw new UserError(rows + " rows of tokens, but token_type_ids of " + types.rows());
        }
        List<Integer> vision = new ArrayList<>();
        List<Integer> words = new ArrayList<>();
        for (int i = 0; i < rows * tokens; i++) {
            (types.isVision(i / tokens, past + i % tokens) ? vision : words).add(i);
        }
        if (vision.isEmpty()) {
            return WORDS;
        }
        long[] back = new long[rows * tokens];
        for (int i = 0; i < vision.size(); i++) {
            back[vision.get(i)] = i;
        }
        for (int i = 0; i < words.size(); i++) {
            back[words.get(i)] = (long) vision.size() + i;
        }
        return new Experts(
                index(vision, x), index(words, x), Tensor.of(back, back.length).to(x.device()));
    }

    private static Tensor index(List<Integer> places, Tensor x) {
        long[] r = places.stream().mapToLong(Integer::longValue).toArray();
        return Tensor.of(r, r.length).to(x.device());
    }

    /** {@code [B, T, D] -> [B, T, D']}. */
    Tensor apply(Tensor x, Module visionExpert, Module languageExpert) {
        if (vision == null || words == null || back == null) {
            return languageExpert.forward(x);
        }
        try (Scope s = Scope.open()) {
            Tensor flat = x.flatten(0, 1); // [B T, D]
            Tensor seen = visionExpert.forward(flat.indexSelect(0, vision)); // [V, D']
            Tensor all = words.numel() == 0
                    ? seen
                    : Tensor.cat(0, seen, languageExpert.forward(flat.indexSelect(0, words))); // [B T, D']
            return s.keep(all.indexSelect(0, back).unflatten(0, x.size(0), x.size(1)));
        }
    }
}
