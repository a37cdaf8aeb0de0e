package dev.zoetrope.models.sora;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Predicts the clean latents of a video from noisy ones, the time and a caption.
 *
 * <p>B clips, K latent channels, G x h x w latent frames, rows and columns.
 */
public interface SpaceTimeNetwork {
    /** Beside the latents of given frames: whether a latent frame is given as a whole, and whether only its first picture is. */
    int MARKS = 2;

    /**
     * @param latents {@code [B, K, G, h, w]}, (1 - t) noise + t clean
     * @param t {@code [B]}, 0 for noise to 1 for clean
     * @param caption encoded captions
     * @param given what {@link #given} makes of frames that are known; null for none. Only for networks with
     *     {@link #givenFrames}
     * @return the clean latents as predicted, {@code [B, K, G, h, w]}
     */
    Tensor forward(Tensor latents, Tensor t, CaptionEncoder.Encoded caption, @Nullable Tensor given);

    /** Above 1 spends more of the steps near the noise, where the caption decides. */
    double flowShift();

    /** Whether it was trained to be told frames that are known. */
    boolean givenFrames();

    /**
     * Known frames as a network reads them: their latents, zeros elsewhere, and marks.
     *
     * @param clean {@code [B, K, G, h, w]}
     * @param whole BOOL {@code [B, G]}, latent frames that are given as they are
     * @param first BOOL {@code [B, G]}, latent frames of which the first picture is given: the latents there are those of
     *     that picture standing still
     * @return {@code [B, K + MARKS, G, h, w]}
     */
    static Tensor given(Tensor clean, Tensor whole, Tensor first) {
        try (Scope s = Scope.open()) {
            long[] one = {clean.size(0), 1, clean.size(2), clean.size(3), clean.size(4)};
            Tensor a = whole.to(DType.FLOAT32).reshape(whole.size(0), 1, -1, 1, 1);
            Tensor b = first.to(DType.FLOAT32).reshape(first.size(0), 1, -1, 1, 1);
            return s.keep(Tensor.cat(1, clean.mul(a.add(b)), a.expand(one), b.expand(one)));
        }
    }
}
