package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;

/**
 * How the scores of the next token are changed before one is chosen, in this order: a penalty on what was said already,
 * no sequence twice, temperature, the likeliest k, the likeliest of together p, and those with at least a share of the
 * likeliest one's probability.
 *
 * @param temperature divides the scores; 0 takes the likeliest token instead of drawing one
 * @param topK number of tokens to draw from; 0 for all
 * @param topP draws from the likeliest tokens whose probabilities add up to this; 1 for all
 * @param minP draws from tokens at least this many times as likely as the likeliest; 0 for all
 * @param repetitionPenalty above 1 makes what was said less likely, arXiv:1909.05858; 1 for none
 * @param noRepeatNgram no sequence of this many tokens comes twice; 0 for no limit
 */
public record Sampling(
        double temperature, int topK, double topP, double minP, double repetitionPenalty, int noRepeatNgram) {
    /** The likeliest token at each step. */
    public static final Sampling GREEDY = new Sampling(0, 0, 1, 0, 1, 0);

    /** What is not drawn has this score. */
    private static final double NEVER = Double.NEGATIVE_INFINITY;

    public Sampling {
        Check.between(0, Double.MAX_VALUE, temperature, "temperature");
        Check.between(0, Integer.MAX_VALUE, topK, "top_k");
        Check.between(0, 1, topP, "top_p");
        Check.between(0, 1, minP, "min_p");
        Check.positive(repetitionPenalty, "repetition_penalty");
        Check.between(0, Integer.MAX_VALUE, noRepeatNgram, "no_repeat_ngram_size");
    }

    /** Draws with this temperature. */
    public static Sampling of(double temperature) {
        return GREEDY.withTemperature(temperature);
    }

    public Sampling withTemperature(double value) {
        return new Sampling(value, topK, topP, minP, repetitionPenalty, noRepeatNgram);
    }

    public Sampling withTopK(int value) {
        return new Sampling(temperature, value, topP, minP, repetitionPenalty, noRepeatNgram);
    }

    public Sampling withTopP(double value) {
        return new Sampling(temperature, topK, value, minP, repetitionPenalty, noRepeatNgram);
    }

    public Sampling withMinP(double value) {
        return new Sampling(temperature, topK, topP, value, repetitionPenalty, noRepeatNgram);
    }

    public Sampling withRepetitionPenalty(double value) {
        return new Sampling(temperature, topK, topP, minP, value, noRepeatNgram);
    }

    public Sampling withNoRepeatNgram(int value) {
        return new Sampling(temperature, topK, topP, minP, repetitionPenalty, value);
    }

    public boolean isGreedy() {
        return temperature == 0;
    }

    /**
     * Scores after all of this.
     *
     * @param logits {@code [B, V]}
     * @param history {@code [B, N]} INT64, the tokens so far, padding included
     * @return {@code [B, V]} float32, minus infinity for what is not to be drawn
     */
    public Tensor apply(Tensor logits, Tensor history) {
        try (Scope s = Scope.open()) {
            Tensor x = restrained(logits.to(DType.FLOAT32), history);
            if (!isGreedy()) {
                x = narrowed(temperature == 1 ? x : x.div(temperature));
            }
            return s.keep(x);
        }
    }

    /** What concerns repetition, which greedy choice and beams respect too. */
    Tensor restrained(Tensor x, Tensor history) {
        Tensor r = x;
        if (repetitionPenalty != 1 && history.size(1) > 0) {
            Tensor said = history.to(x.device());
            Tensor scores = r.gather(1, said);
            r = r.scatter(
                    1,
                    said,
                    Tensor.where(scores.lt(0.0), scores.mul(repetitionPenalty), scores.div(repetitionPenalty)));
        }
        return noRepeatNgram == 0
                ? r
                : r.maskedFill(repeating(history, x.size(1)).to(x.device()), NEVER);
    }

    /** Which tokens would complete a sequence that is there already, {@code [B, V]} BOOL. */
    private Tensor repeating(Tensor history, long vocabulary) {
        int rows = (int) history.size(0);
        int length = (int) history.size(1);
        long[] ids = history.toLongs();
        boolean[] banned = new boolean[Math.toIntExact(rows * vocabulary)];
        int prefix = noRepeatNgram - 1;
        for (int row = 0; row < rows; row++) {
            int from = row * length;
            for (int i = 0; i + prefix < length; i++) {
                int last = from + length - prefix;
                if (Arrays.equals(ids, from + i, from + i + prefix, ids, last, last + prefix)) {
                    banned[Math.toIntExact(row * vocabulary + ids[from + i + prefix])] = true;
                }
            }
        }
        return Tensor.of(banned, rows, vocabulary);
    }

    private Tensor narrowed(Tensor x) {
        Tensor r = x;
        if (topK > 0 && topK < r.size(1)) {
            Tensor least = r.topk(topK, -1).values().narrow(-1, topK - 1, 1); // [B, 1]
            r = r.maskedFill(r.lt(least), NEVER);
        }
        if (topP < 1) {
            Tensor.Ranked ranked = r.sort(-1, false); // the likeliest last
            Tensor out = ranked.values().softmax(-1).cumsum(-1).le(1 - topP);
            long last = out.size(1) - 1;
            out = Tensor.cat(1, out.narrow(1, 0, last), Tensor.of(new boolean[(int) out.size(0)], out.size(0), 1));
            r = r.maskedFill(out.scatter(1, ranked.indices(), out), NEVER);
        }
        if (minP > 0) {
            Tensor p = r.softmax(-1);
            r = r.maskedFill(p.lt(p.amax(true, -1).mul(minP)), NEVER);
        }
        return r;
    }
}
