package dev.zoetrope.models.bert;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Sentences as vectors of unit length whose products say how alike they are in meaning, arXiv:1908.10084
 * (sentence-transformers/all-MiniLM-L6-v2 and other BERTs of that collection). Safe for use by several threads at once.
 */
public final class SentenceEncoder implements AutoCloseable {
    /** How the vectors of a sentence's tokens become one. */
    private enum Pooling {
        MEAN,
        FIRST;

        static Pooling of(Json j) {
            if (j.get("pooling_mode_cls_token", false)) {
                return FIRST;
            }
            if (!j.get("pooling_mode_mean_tokens", true)) {
                throw j.unsupported("pooling_mode_mean_tokens", "true, or pooling_mode_cls_token true");
            }
            return MEAN;
        }
    }

    private final Bert bert;
    private final Tokenizer tokenizer;
    private final Pooling pooling;
    private final int maxLength;

    private SentenceEncoder(Bert bert, Tokenizer tokenizer, Pooling pooling, int maxLength) {
        this.bert = bert;
        this.tokenizer = tokenizer;
        this.pooling = pooling;
        this.maxLength = maxLength;
    }

    /** Opens a folder of sentence-transformers: BERT and its tokenizer, 1_Pooling, sentence_bert_config.json. */
    public static SentenceEncoder load(Path folder) {
        Pooling pooling = Pooling.of(optional(folder.resolve("1_Pooling/config.json")));
        Bert bert = Bert.load(folder);
        try {
            int positions = bert.config().positions();
            int length = optional(folder.resolve("sentence_bert_config.json")).get("max_seq_length", positions);
            return new SentenceEncoder(bert, Tokenizer.open(folder), pooling, Math.min(length, positions));
        } catch (RuntimeException e) {
            bert.close();
            throw e;
        }
    }

    private static Json optional(Path file) {
        return Files.exists(file) ? Json.read(file) : Json.empty();
    }

    /** Token ids and mask of sentences, cut to what the model was made for. */
    public Tokenizer.Batch tokens(List<String> sentences) {
        List<long[]> rows =
                sentences.stream().map(t -> tokenizer.encode(t, maxLength)).toList();
        return tokenizer.pad(rows, Tokenizer.Side.RIGHT);
    }

    /** One vector of length 1 a sentence, {@code [sentence, D]}, owned by the innermost scope. */
    public Tensor encode(List<String> sentences) {
        Tokenizer.Batch batch = tokens(sentences);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor mask = matrix(batch.mask());
            Tensor hidden = bert.forward(matrix(batch.ids()), null, mask); // [B, T, D]
            Tensor pooled = pooling == Pooling.FIRST ? hidden.select(1, 0) : mean(hidden, mask); // [B, D]
            return s.keep(pooled.div(pooled.norm(true, -1).clamp(1e-12, Double.POSITIVE_INFINITY)));
        }
    }

    private static Tensor mean(Tensor hidden, Tensor mask) {
        Tensor real = mask.to(DType.FLOAT32).unsqueeze(-1); // [B, T, 1]
        return hidden.mul(real).sum(1).div(real.sum(1).clamp(1e-9, Double.POSITIVE_INFINITY));
    }

    private static Tensor matrix(long[][] rows) {
        long[] all = Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray();
        return Tensor.of(all, rows.length, rows.length == 0 ? 0 : rows[0].length);
    }

    @Override
    public void close() {
        tokenizer.close();
        bert.close();
    }
}
