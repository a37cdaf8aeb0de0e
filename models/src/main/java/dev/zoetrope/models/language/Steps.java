package dev.zoetrope.models.language;

import dev.zoetrope.tensor.Tensor;

/**
 * A text under way in some model: what {@link Generation} needs of it. Token by token it is told what was chosen and says
 * how likely each token is to come next.
 *
 * <p>Axes: B rows, V vocabulary.
 */
public interface Steps extends AutoCloseable {
    /** Scores of the first new token, {@code [B, V]}, owned by the innermost scope. */
    Tensor first();

    /** Scores of the token after these. {@code [B]} INT64 -> {@code [B, V]}. */
    Tensor next(Tensor chosen);

    /** Goes on with these rows, in this order; a row may come several times. {@code rows [B']} INT64. */
    void select(Tensor rows);

    /** Frees what is remembered of the text. */
    @Override
    void close();
}
