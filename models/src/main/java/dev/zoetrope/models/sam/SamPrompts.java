package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import org.jspecify.annotations.Nullable;

/**
 * Prompts in pixels of the padded square that the image encoder reads. Axes: B pictures, P prompts, K points a prompt.
 *
 * @param points {@code [B, P, K, 2]} x, y; null for none
 * @param labels {@code [B, P, K]} INT64: 1 foreground, 0 background, -1 no point, -10 padding that counts for nothing; null
 *     for all foreground
 * @param boxes {@code [B, P, 4]} x0, y0, x1, y1; null for none
 * @param masks logits of an earlier answer, {@code [B, P or 1, 4 H, 4 W]}; null for none
 */
public record SamPrompts(
        @Nullable Tensor points, @Nullable Tensor labels, @Nullable Tensor boxes, @Nullable Tensor masks) {
    public SamPrompts {
        if (points == null && labels != null) {
            throw new UserError("sam: labels without points");
        }
        if (points != null) {
            Check.shape(points.shape(), "points", -1, -1, -1, 2);
            if (labels == null) {
                labels = Tensor.full(1, DType.INT64, points.device(), points.size(0), points.size(1), points.size(2));
            }
            Check.shape(labels.shape(), "labels of the points", points.size(0), points.size(1), points.size(2));
        }
        if (boxes != null) {
            long b = points == null ? -1 : points.size(0);
            long p = points == null ? -1 : points.size(1);
            Check.shape(boxes.shape(), "boxes", b, p, 4);
        }
        if (masks != null) {
            Check.shape(masks.shape(), "masks", -1, -1, -1, -1);
        }
    }

    public static SamPrompts points(Tensor points, Tensor labels) {
        return new SamPrompts(points, labels, null, null);
    }
}
