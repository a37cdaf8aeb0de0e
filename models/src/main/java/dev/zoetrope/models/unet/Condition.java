package dev.zoetrope.models.unet;

import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What a U-Net is told besides noise and time. Which of it a network takes its configuration says.
 *
 * @param text {@code [B, T, F]}
 * @param textMask tokens that count, {@code [B, T]}, 1 or 0
 * @param labels classes {@code [B]} INT64, a noise level {@code [B]}, or features {@code [B, F]}
 * @param pooledText of the whole prompt, {@code [B, F]}
 * @param sizes original height and width, top and left of the crop, target height and width, {@code [B, 6]}
 * @param guidance features of the guidance's strength, {@code [B, F]}
 * @param objects what boxes say, of {@link ConditionalUnet#objects}
 */
public record Condition(
        @Nullable Tensor text,
        @Nullable Tensor textMask,
        @Nullable Tensor labels,
        @Nullable Tensor pooledText,
        @Nullable Tensor sizes,
        @Nullable Tensor guidance,
        @Nullable Tensor objects) {
    public static final Condition NONE = new Condition(null, null, null, null, null, null, null);

    public static Condition ofText(Tensor text) {
        return NONE.withText(text);
    }

    public static Condition ofLabels(@Nullable Tensor labels) {
        return NONE.withLabels(labels);
    }

    public Condition withText(@Nullable Tensor value) {
        return new Condition(value, textMask, labels, pooledText, sizes, guidance, objects);
    }

    public Condition withTextMask(@Nullable Tensor value) {
        return new Condition(text, value, labels, pooledText, sizes, guidance, objects);
    }

    public Condition withLabels(@Nullable Tensor value) {
        return new Condition(text, textMask, value, pooledText, sizes, guidance, objects);
    }

    public Condition withSizes(@Nullable Tensor pooled, @Nullable Tensor value) {
        return new Condition(text, textMask, labels, pooled, value, guidance, objects);
    }

    public Condition withGuidance(@Nullable Tensor value) {
        return new Condition(text, textMask, labels, pooledText, sizes, value, objects);
    }

    public Condition withObjects(@Nullable Tensor value) {
        return new Condition(text, textMask, labels, pooledText, sizes, guidance, value);
    }

    /** That of some samples of the batch. */
    public Condition rows(long from, long count) {
        return new Condition(
                some(text, from, count),
                some(textMask, from, count),
                some(labels, from, count),
                some(pooledText, from, count),
                some(sizes, from, count),
                some(guidance, from, count),
                some(objects, from, count));
    }

    private static @Nullable Tensor some(@Nullable Tensor all, long from, long count) {
        return all == null ? null : all.narrow(0, from, count);
    }
}
