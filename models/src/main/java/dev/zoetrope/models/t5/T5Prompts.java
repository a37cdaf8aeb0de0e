package dev.zoetrope.models.t5;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** T5, or UMT5, with its tokenizer, as generators use it: prompts become rows of vectors of one length. */
public final class T5Prompts implements AutoCloseable {
    private final Tokenizer tokenizer;
    private final T5Encoder encoder;

    public T5Prompts(Tokenizer tokenizer, T5Encoder encoder) {
        this.tokenizer = tokenizer;
        this.encoder = encoder;
    }

    /** From the folder of a pipeline, with {@code tokenizer} and {@code text_encoder}. */
    public static T5Prompts load(Path pipeline) {
        Tokenizer tokenizer = Tokenizer.open(pipeline.resolve("tokenizer"));
        try {
            return new T5Prompts(tokenizer, T5Encoder.load(pipeline.resolve("text_encoder")));
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    /**
     * @param states {@code [B, L, D]}, at padded tokens too
     * @param mask {@code [B, L]} INT64, 1 for real tokens
     */
    public record Encoded(Tensor states, Tensor mask) {}

    /**
     * @param length L, to which texts are cut or filled up
     * @param masked whether real tokens see only real ones
     */
    public Encoded encode(List<String> texts, int length, boolean masked) {
        List<long[]> rows = texts.stream().map(t -> tokenizer.encode(t, length)).toList();
        Tokenizer.Batch batch = tokenizer.pad(rows, length, tokenizer.paddingSide());
        try (Scope s = Scope.open()) {
            Tensor mask = s.keep(tensor(batch.mask(), length));
            return new Encoded(s.keep(encoder.forward(tensor(batch.ids(), length), masked ? mask : null)), mask);
        }
    }

    private static Tensor tensor(long[][] rows, int length) {
        return Tensor.of(Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, length);
    }

    @Override
    public void close() {
        encoder.close();
        tokenizer.close();
    }
}
