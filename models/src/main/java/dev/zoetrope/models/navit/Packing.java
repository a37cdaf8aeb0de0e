package dev.zoetrope.models.navit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Where sequences of different lengths lie in rows of one length, arXiv:2307.06304: the longest first, each into the
 * first row that has room for it.
 *
 * @param rowTokens length of a row
 * @param rows how many there are
 * @param places of each sequence, in the order in which they were given
 */
public record Packing(int rowTokens, int rows, List<Place> places) {
    /** In tokens from the row's start. */
    public record Place(int row, int offset, int tokens) {}

    public Packing {
        places = List.copyOf(places);
    }

    /** @param lengths in tokens; none may be longer than a row */
    public static Packing of(List<Integer> lengths, int rowTokens) {
        Check.positive(rowTokens, "tokens of a row");
        List<Integer> filled = new ArrayList<>();
        Place[] places = new Place[lengths.size()];
        IntStream.range(0, places.length)
                .boxed()
                .sorted(Comparator.comparing(lengths::get, Comparator.reverseOrder()))
                .forEach(i -> places[i] = place(lengths.get(i), i, filled, rowTokens));
        return new Packing(rowTokens, filled.size(), Arrays.asList(places));
    }

    private static Place place(int tokens, int sequence, List<Integer> filled, int rowTokens) {
        if (tokens > rowTokens) {
            throw new UserError("sequence " + sequence + " has " + tokens + " tokens, a row only " + rowTokens
                    + "; make rows longer or the sequence shorter");
        }
        int row = 0;
        while (row < filled.size() && filled.get(row) + tokens > rowTokens) {
            row++;
        }
        if (row == filled.size()) {
            filled.add(0);
        }
        int offset = filled.get(row);
        filled.set(row, offset + tokens);
        return new Place(row, offset, tokens);
    }

    /** The sequence of each token, -1 where there is none, {@code [row, rowTokens]} INT64. */
    public Tensor segments() {
        long[] r = new long[rows * rowTokens];
        Arrays.fill(r, -1);
        for (int i = 0; i < places.size(); i++) {
            Place p = places.get(i);
            int from = p.row * rowTokens + p.offset;
            Arrays.fill(r, from, from + p.tokens, i);
        }
        return Tensor.of(r, rows, rowTokens);
    }

    /** Share of the tokens that are not padding. */
    public double fill() {
        return places.stream().mapToInt(Place::tokens).sum() / (double) (rows * rowTokens);
    }
}
