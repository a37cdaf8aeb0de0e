package dev.zoetrope.models.language;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.IntStream;

/** Words of a vocabulary that stand for the codes of pictures. */
public final class PictureWords {
    private final int place;
    private final long[] wordOf; // of each code
    private final long[] codeOf; // of each word; -1 for words that mean something else

    private PictureWords(int place, long[] wordOf, long[] codeOf) {
        this.place = place;
        this.wordOf = wordOf;
        this.codeOf = codeOf;
    }

    /**
     * @param place token that keeps a place for a word of a picture
     * @param ids of each code from 0, the word
     */
    public static PictureWords of(int place, Map<Integer, Integer> ids) {
        long[] words = new long[ids.size()];
        Arrays.fill(words, -1);
        int last = 0;
        for (Map.Entry<Integer, Integer> e : ids.entrySet()) {
            if (e.getKey() >= words.length || e.getKey() < 0 || e.getValue() < 0) {
                throw new UserError(
                        "vocabulary_map: " + words.length + " words for codes of pictures, one of them for code "
                                + e.getKey() + "; expected one for each code from 0");
            }
            words[e.getKey()] = e.getValue();
            last = Math.max(last, e.getValue());
        }
        long[] codes = new long[last + 1];
        Arrays.fill(codes, -1);
        IntStream.range(0, words.length).forEach(code -> codes[(int) words[code]] = code);
        return new PictureWords(place, words, codes);
    }

    /** All words that stand for codes. */
    public int[] all() {
        return Arrays.stream(wordOf).mapToInt(Math::toIntExact).toArray();
    }

    /** Codes to words, {@code [...]} INT64. */
    public Tensor words(Tensor codes) {
        try (Scope s = Scope.open()) {
            Tensor table = Tensor.of(wordOf, wordOf.length).to(codes.device());
            return s.keep(table.indexSelect(0, codes.reshape(-1)).reshape(codes.shape()));
        }
    }

    /** Words to codes, {@code [...]} INT64. */
    public Tensor codes(Tensor words) {
        long[] r = words.to(DType.INT64).toLongs();
        for (int i = 0; i < r.length; i++) {
            long code = r[i] < codeOf.length ? codeOf[(int) r[i]] : -1;
            if (code < 0) {
                throw new UserError("token " + r[i] + " stands for no code of a picture");
            }
            r[i] = code;
        }
        return Tensor.of(r, words.shape());
    }

    /** Puts words of pictures where ids keep places for them. {@code ids [B, T]}, {@code words [...]} in reading order. */
    public Tensor put(Tensor ids, Tensor words) {
        long[] r = ids.toLongs();
        long[] all = words.toLongs();
        int next = 0;
        for (int i = 0; i < r.length; i++) {
            if (r[i] == place) {
                r[i] = next < all.length ? all[next] : r[i];
                next++;
            }
        }
        if (next != all.length) {
            throw new UserError(
                    "the text has places for " + next + " words of pictures, and the pictures have " + all.length);
        }
        return Tensor.of(r, ids.shape());
    }
}
