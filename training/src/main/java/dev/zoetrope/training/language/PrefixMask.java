package dev.zoetrope.training.language;

import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Training with a condition in front, arXiv:1910.10683 and 2312.14125: every token sees the whole condition, and what
 * follows it is predicted token by token.
 *
 * <p>Axes: B rows, T tokens.
 */
public final class PrefixMask {
    private PrefixMask() {}

    /**
     * What each token sees.
     *
     * @param prefix {@code [B]} INT64, how many tokens of a row belong to the condition
     * @return {@code [B, T, T]} BOOL
     */
    public static Tensor of(Tensor prefix, long tokens) {
        try (Scope s = Scope.open()) {
            Tensor past = Tensor.ones(tokens, tokens).tril(0).ne(0L); // [T, T]
            Tensor condition = Tensor.arange(tokens).unsqueeze(0).lt(prefix.unsqueeze(1)); // [B, T]
            return s.keep(past.or(condition.unsqueeze(1)));
        }
    }

    /** The tokens behind the condition as labels, {@code [B, T]}. */
    public static Tensor labels(Tensor ids, Tensor prefix) {
        try (Scope s = Scope.open()) {
            Tensor condition = Tensor.arange(ids.size(1)).unsqueeze(0).lt(prefix.unsqueeze(1));
            Tensor ignored = Tensor.of(new long[] {NextToken.IGNORED});
            return s.keep(Tensor.where(condition, ignored, ids));
        }
    }
}
