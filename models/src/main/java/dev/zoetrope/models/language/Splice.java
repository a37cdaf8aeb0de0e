package dev.zoetrope.models.language;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Rows of words in which pictures stand where their marks were.
 *
 * <p>Axes: B rows, T tokens before, T' after, I pictures, N tokens of a picture, D width of the language model.
 *
 * @param embedded {@code [B, T', D]}
 * @param mask {@code [B, T']} INT64, 1 for real tokens
 * @param positions {@code [1, T']} INT64; null to count the real tokens of each row from 0
 * @param labels {@code [B, T']} INT64, {@link NextToken#IGNORED} at pictures and padding; null where there were none
 */
public record Splice(Tensor embedded, Tensor mask, @Nullable Tensor positions, @Nullable Tensor labels) {
    /** How a release does it. */
    public enum Rule {
        /** There is a mark for each token of a picture, which takes its place: rows stay as long as they are. */
        IN_PLACE,
        /** One mark a picture; padding is taken out first, then rows are filled up on the right. */
        WITHOUT_PADDING,
        /**
         * One mark a picture; padding stays. The mask is lengthened by ones on the left, so that with padding on the right
         * other tokens are masked than are padding: MobileVLM was trained so.
         */
        WITH_PADDING
    }

    /** What is to be continued. */
    public Prompt prompt() {
        return new Prompt(embedded, mask, positions);
    }

    /**
     * @param embed the vectors of words, {@code [N] -> [N, D]}
     * @param mark stands in a row where a picture goes
     * @param maxLength at which rows are cut
     * @param ids {@code [B, T]} INT64
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @param labels {@code [B, T]} INT64, what is to be said; null in use
     * @param images {@code [I, N, D]} in reading order; null for none
     */
    public static Splice of(
            UnaryOperator<Tensor> embed,
            Rule rule,
            int mark,
            int maxLength,
            Tensor ids,
            @Nullable Tensor mask,
            @Nullable Tensor labels,
            @Nullable Tensor images) {
        int rows = (int) ids.size(0);
        int width = (int) ids.size(1);
        long[] tokens = ids.toLongs();
        long[] real = mask == null ? ones(tokens.length) : mask.toLongs();
        long[] wanted = labels == null ? new long[0] : labels.toLongs();
        int perMark = rule == Rule.IN_PLACE || images == null ? 1 : (int) images.size(1);
        int available =
                images == null ? 0 : (int) (rule == Rule.IN_PLACE ? images.size(0) * images.size(1) : images.size(0));
        List<int[]> places = new ArrayList<>(); // of each row: which vector, -1 - k for the k-th of the pictures
        List<long[]> says = new ArrayList<>();
        int used = 0;
        for (int row = 0; row < rows; row++) {
            int[] place = new int[width * perMark];
            long[] say = new long[width * perMark];
            int n = 0;
            for (int i = row * width; i < (row + 1) * width; i++) {
                if (rule == Rule.WITHOUT_PADDING && real[i] == 0) {
                    continue;
                }
                if (tokens[i] != mark) {
                    place[n] = i;
                    say[n++] = wanted.length == 0 ? NextToken.IGNORED : wanted[i];
                    continue;
                }
                for (int k = 0; k < perMark; k++) {
                    place[n] = -1 - used * perMark - k;
                    say[n++] = NextToken.IGNORED;
                }
                used++;
            }
            int length = Math.min(n, maxLength);
            places.add(Arrays.copyOf(place, length));
            says.add(Arrays.copyOf(say, length));
        }
        check(rule, used, available);
        return assembled(embed, rule, mark, tokens, real, width, places, says, images, labels != null);
    }

    private static void check(Rule rule, int marks, int available) {
        if (marks != available) {
            String what = rule == Rule.IN_PLACE ? "tokens of pictures" : "pictures";
            throw new UserError("the text has places for " + marks + " " + what + ", but " + available
                    + " were given; write <image> once for each picture");
        }
    }

    private static Splice assembled(
            UnaryOperator<Tensor> embed,
            Rule rule,
            int mark,
            long[] tokens,
            long[] real,
            int width,
            List<int[]> places,
            List<long[]> says,
            @Nullable Tensor images,
            boolean labelled) {
        int rows = places.size();
        int longest = places.stream().mapToInt(p -> p.length).max().orElse(0);
        long[] index = new long[rows * longest];
        long[] seen = new long[rows * longest];
        long[] label = new long[rows * longest];
        Arrays.fill(index, tokens.length); // the zero vector behind the words
        Arrays.fill(label, NextToken.IGNORED);
        for (int row = 0; row < rows; row++) {
            int[] place = places.get(row);
            int extra = place.length - width; // of its pictures
            for (int i = 0; i < place.length; i++) {
                int at = row * longest + i;
                index[at] = place[i] >= 0 ? place[i] : tokens.length - place[i];
                seen[at] = switch (rule) {
                    case WITHOUT_PADDING -> 1;
                    case IN_PLACE -> real[row * width + i];
                    case WITH_PADDING -> i < extra ? 1 : real[row * width + i - extra];
                };
                label[at] = says.get(row)[i];
            }
        }
        try (Scope s = Scope.open()) {
            long[] words =
                    Arrays.stream(tokens).map(t -> t == mark || t < 0 ? 0 : t).toArray();
            Tensor text = embed.apply(Tensor.of(words, words.length)); // [B T, D]
            Tensor zero = Tensor.zeros(text.dtype(), text.device(), 1, text.size(1));
            Tensor all = images == null
                    ? Tensor.cat(0, text, zero)
                    : Tensor.cat(0, text, zero, images.flatten(0, 1).to(text.dtype()));
            Tensor embedded = all.indexSelect(0, Tensor.of(index, index.length).to(text.device()))
                    .unflatten(0, rows, longest);
            return new Splice(
                    s.keep(embedded),
                    s.keep(Tensor.of(seen, rows, longest)),
                    rule == Rule.WITH_PADDING ? s.keep(Tensor.arange(longest).unsqueeze(0)) : null,
                    labelled ? s.keep(Tensor.of(label, rows, longest)) : null);
        }
    }

    private static long[] ones(int n) {
        long[] r = new long[n];
        Arrays.fill(r, 1);
        return r;
    }
}
