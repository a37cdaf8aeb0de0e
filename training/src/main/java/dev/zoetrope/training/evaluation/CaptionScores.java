package dev.zoetrope.training.evaluation;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How close captions come to what people wrote, as the COCO caption toolkit counts it. Words stand between single spaces:
 * tokenising and lower case are the caller's.
 */
public final class CaptionScores {
    private static final int LONGEST = 4; // words of an n-gram
    private static final double LENGTH_SIGMA = 6; // of CIDEr-D
    private static final double RECALL_WEIGHT = 1.2; // of ROUGE-L
    // The toolkit's guards of BLEU against precisions of zero.
    private static final double TINY = 1e-15;
    private static final double SMALL = 1e-9;

    private CaptionScores() {}

    /** A caption and the sentences of people about the same picture, at least one. */
    public record Judged(String caption, List<String> references) {
        public Judged {
            if (references.isEmpty()) {
                throw new UserError("caption '" + caption + "': no references, at least one is needed");
            }
            references = List.copyOf(references);
        }
    }

    /**
     * BLEU-1 to BLEU-4 over all captions together, Papineni et al. 2002; the length of the reference that is nearest (of
     * two as near, the shorter) counts.
     */
    public static double[] bleu(List<Judged> captions) {
        check(captions);
        long[] right = new long[LONGEST];
        long[] all = new long[LONGEST];
        long length = 0;
        long expected = 0;
        for (Judged j : captions) {
            int words = words(j.caption).length;
            length += words;
            expected += j.references.stream()
                    .map(r -> words(r).length)
                    .min((a, b) -> Math.abs(a - words) == Math.abs(b - words)
                            ? Integer.compare(a, b)
                            : Integer.compare(Math.abs(a - words), Math.abs(b - words)))
                    .orElseThrow();
            Map<List<String>, Integer> most = new HashMap<>();
            j.references.forEach(r -> ngrams(r).forEach((ngram, n) -> most.merge(ngram, n, Math::max)));
            ngrams(j.caption)
                    .forEach((ngram, n) -> right[ngram.size() - 1] += Math.min(n, most.getOrDefault(ngram, 0)));
            for (int n = 0; n < LONGEST; n++) {
                all[n] += Math.max(0, words - n);
            }
        }
        double ratio = (length + TINY) / (expected + SMALL);
        double brevity = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
        double[] bleu = new double[LONGEST];
        double product = 1;
        for (int n = 0; n < LONGEST; n++) {
            product *= (right[n] + TINY) / (all[n] + SMALL);
            bleu[n] = Math.pow(product, 1. / (n + 1)) * brevity;
        }
        return bleu;
    }

    /**
     * CIDEr-D of each caption, arXiv:1411.5726: the cosine of weighted n-grams, of which none counts more often than in
     * the reference, times a penalty for another length, times 10. What is rare among the references of these captions
     * weighs more, so the figure belongs to the whole set.
     */
    public static double[] cider(List<Judged> captions) {
        check(captions);
        Map<List<String>, Integer> documents = new HashMap<>();
        for (Judged j : captions) {
            Set<List<String>> said = new HashSet<>();
            j.references.forEach(r -> said.addAll(ngrams(r).keySet()));
            said.forEach(ngram -> documents.merge(ngram, 1, Integer::sum));
        }
        double logOfAll = Math.log(captions.size());
        return captions.stream()
                .mapToDouble(j -> {
                    Weighted caption = Weighted.of(j.caption, documents, logOfAll);
                    double sum = 0;
                    for (String reference : j.references) {
                        sum += caption.similarity(Weighted.of(reference, documents, logOfAll));
                    }
                    return 10 * sum / j.references.size();
                })
                .toArray();
    }

    /** A sentence's n-grams, by how often it has them and how few others do. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Weighted(Map<List<String>, Double> weights, double[] norms, int pairs) {
        static Weighted of(String sentence, Map<List<String>, Integer> documents, double logOfAll) {
            Map<List<String>, Double> weights = new HashMap<>();
            double[] squares = new double[LONGEST];
            int[] pairs = new int[1];
            ngrams(sentence).forEach((ngram, n) -> {
                double weight = n * (logOfAll - Math.log(Math.max(1, documents.getOrDefault(ngram, 0))));
                weights.put(ngram, weight);
                squares[ngram.size() - 1] += weight * weight;
                pairs[0] += ngram.size() == 2 ? n : 0; // the toolkit takes their number for the length
            });
            return new Weighted(weights, Arrays.stream(squares).map(Math::sqrt).toArray(), pairs[0]);
        }

        double similarity(Weighted reference) {
            double[] products = new double[LONGEST];
            weights.forEach((ngram, weight) -> {
                double other = reference.weights.getOrDefault(ngram, 0.);
                products[ngram.size() - 1] += Math.min(weight, other) * other;
            });
            double sum = 0;
            for (int n = 0; n < LONGEST; n++) {
                double norm = norms[n] * reference.norms[n];
                sum += norm == 0 ? products[n] : products[n] / norm;
            }
            double difference = pairs - reference.pairs;
            return sum / LONGEST * Math.exp(-difference * difference / (2 * LENGTH_SIGMA * LENGTH_SIGMA));
        }
    }

    /** ROUGE-L of each caption, Lin 2004: by the longest common subsequence of words with each reference. */
    public static double[] rougeL(List<Judged> captions) {
        check(captions);
        return captions.stream().mapToDouble(CaptionScores::rougeL).toArray();
    }

    private static double rougeL(Judged j) {
        String[] caption = words(j.caption);
        double precision = 0;
        double recall = 0;
        for (String r : j.references) {
            String[] reference = words(r);
            double common = common(caption, reference);
            if (common > 0) {
                precision = Math.max(precision, common / caption.length);
                recall = Math.max(recall, common / reference.length);
            }
        }
        if (precision == 0) {
            return 0;
        }
        double b = RECALL_WEIGHT * RECALL_WEIGHT;
        return (1 + b) * precision * recall / (recall + b * precision);
    }

    /** Length of the longest sequence of words that both have in this order. */
    private static int common(String[] a, String[] b) {
        int[] row = new int[b.length + 1];
        for (String word : a) {
            int diagonal = 0;
            for (int k = 1; k <= b.length; k++) {
                int above = row[k];
                row[k] = word.equals(b[k - 1]) ? diagonal + 1 : Math.max(above, row[k - 1]);
                diagonal = above;
            }
        }
        return row[b.length];
    }

    private static Map<List<String>, Integer> ngrams(String sentence) {
        List<String> words = List.of(words(sentence));
        Map<List<String>, Integer> r = new HashMap<>();
        for (int n = 1; n <= LONGEST; n++) {
            for (int i = 0; i + n <= words.size(); i++) {
                r.merge(words.subList(i, i + n), 1, Integer::sum);
            }
        }
        return r;
    }

    private static String[] words(String sentence) {
        String s = sentence.strip();
        return s.isEmpty() ? new String[0] : s.split("\\s+");
    }

    private static void check(List<Judged> captions) {
        Check.positive(captions.size(), "number of captions");
    }
}
