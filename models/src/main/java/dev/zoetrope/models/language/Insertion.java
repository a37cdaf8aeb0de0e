package dev.zoetrope.models.language;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/** Puts vectors of something else, such as pictures, where a row of words keeps places for them. */
public final class Insertion {
    private Insertion() {}

    /**
     * Axes: B rows, T tokens, D width, N vectors.
     *
     * @param words {@code [B, T, D]}
     * @param places {@code [B, T]} BOOL, true where a vector goes
     * @param vectors {@code [N, D]}, in reading order
     * @param what the vectors are, for messages
     * @return {@code [B, T, D]}
     */
    public static Tensor of(Tensor words, Tensor places, Tensor vectors, String what) {
        try (Scope s = Scope.open()) {
            Tensor at = places.reshape(-1).nonzero().to(words.device()); // [N, 1]
            if (at.size(0) != vectors.size(0)) {
                throw new UserError("the text has places for " + at.size(0) + " " + what + ", but " + vectors.size(0)
                        + " were given; every picture needs places of its own, all of them");
            }
            Tensor flat = words.flatten(0, 1); // [B T, D]
            Tensor filled = flat.scatter(0, at.expand(-1, words.size(2)), vectors.to(words.dtype()));
            return s.keep(filled.unflatten(0, words.size(0), words.size(1)));
        }
    }
}
