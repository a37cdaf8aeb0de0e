package dev.zoetrope.models.cogvlm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Which tokens of a row are words and which belong to a picture, and what follows from it.
 *
 * <p>Axes: B rows, T tokens.
 */
public final class TokenTypes {
    private final int rows;
    private final int length;
    private final boolean[] picture; // [B, T]

    private TokenTypes(int rows, int length, boolean... picture) {
        this.rows = rows;
        this.length = length;
        this.picture = picture;
    }

    /** @param types {@code [B, T]} INT64, 1 for tokens of a picture, its marks of begin and end included, 0 for words */
    public static TokenTypes of(Tensor types) {
        Check.shape(types.shape(), "token_type_ids", -1, -1);
        long[] values = types.toLongs();
        boolean[] picture = new boolean[values.length];
        for (int i = 0; i < values.length; i++) {
            picture[i] = values[i] == 1;
        }
        return new TokenTypes((int) types.size(0), (int) types.size(1), picture);
    }

    /** T. */
    public int length() {
        return length;
    }

    /** {@code [B, T]} BOOL, true for tokens of a picture. */
    public Tensor pictures() {
        return Tensor.of(picture.clone(), rows, length);
    }

    /**
     * {@code [B, T]} BOOL, true where the vision expert works. The last token of a picture uses the weights for words, as
     * does the last place of a row: what they say next is a word.
     */
    public Tensor visionExpert() {
        boolean[] r = new boolean[picture.length];
        for (int i = 0; i < r.length; i++) {
            r[i] = isVision(i / length, i % length);
        }
        return Tensor.of(r, rows, length);
    }

    /** Whether the vision expert works at a place, which may lie behind the row: there are only words. */
    boolean isVision(int row, long place) {
        if (place + 1 >= length) {
            return false;
        }
        int i = row * length + (int) place;
        return picture[i] && picture[i + 1];
    }

    int rows() {
        return rows;
    }

    /**
     * {@code [B, T]} INT64: all tokens between the two marks of a picture share one position. Padding does not count, but
     * the first token behind it gets 1, while a row without padding begins at 0.
     *
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     */
    public Tensor positions(@Nullable Tensor mask) {
        long[] real = mask == null ? null : mask.to(DType.INT64).toLongs();
        long[] r = new long[picture.length];
        for (int row = 0; row < rows; row++) {
            int from = row * length;
            Kind[] kinds = kinds(from, real);
            for (int i = 1; i < length; i++) {
                boolean counts = kinds[i] == Kind.WORD || (kinds[i] == Kind.PATCH && kinds[i - 1] == Kind.WORD);
                r[from + i] = r[from + i - 1] + (counts ? 1 : 0);
            }
        }
        return Tensor.of(r, rows, length);
    }

    private enum Kind {
        WORD,
        PATCH,
        PADDING
    }

    /** Of one row; the tokens of a picture that touch a word or an end of the row are its marks, and count as words. */
    private Kind[] kinds(int from, long @Nullable [] real) {
        Kind[] kinds = new Kind[length];
        for (int i = 0; i < length; i++) {
            boolean padding = real != null && real[from + i] == 0;
            kinds[i] = padding ? Kind.PADDING : picture[from + i] ? Kind.PATCH : Kind.WORD;
        }
        Kind[] r = kinds.clone();
        for (int i = 0; i < length; i++) {
            boolean first = i == 0 || kinds[i - 1] == Kind.WORD;
            boolean last = i == length - 1 || kinds[i + 1] == Kind.WORD;
            if (kinds[i] == Kind.PATCH && (first || last)) {
                r[i] = Kind.WORD;
            }
        }
        return r;
    }
}
