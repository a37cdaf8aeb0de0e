package dev.zoetrope.models.musicgen;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;

/**
 * How codebooks of one sound stand beside each other in a sequence, arXiv:2306.05284: each a step later than the one
 * before, so that it can depend on it; start tokens fill what that leaves open on both sides. Of stereo sound, the
 * codebooks of left and right take turns and go by pairs.
 *
 * @param codebooks rows
 * @param length steps, the start token at first included
 * @param pairs whether two rows go together: stereo
 * @param start token that fills
 */
public record DelayPattern(int codebooks, int length, boolean pairs, long start) {
    /** Where the model chooses. */
    public static final long OPEN = -1;

    public DelayPattern {
        Check.positive(codebooks, "num_codebooks");
        Check.positive(length, "length");
        if (pairs) {
            Check.divides(2, codebooks, "2", "num_codebooks of stereo sound,");
        }
    }

    /** Codebooks, or pairs of them. */
    private int delays() {
        return pairs ? codebooks / 2 : codebooks;
    }

    private int delay(int codebook) {
        return pairs ? codebook / 2 : codebook;
    }

    /** A sequence that is too short for all codebooks to be full at once has no delays. */
    private boolean delayed() {
        return length >= 2 * delays() - 1;
    }

    /** Whether the start token stands at a place. */
    boolean isStart(int codebook, int step) {
        if (!delayed()) {
            return step == 0;
        }
        int place = step - delay(codebook);
        return place <= 0 || place > length - delays();
    }

    /** Frames of sound. */
    public int frames() {
        return delayed() ? length - delays() : length - 1;
    }

    /** {@code [codebooks, length]} INT64: the start token, or {@link #OPEN}. */
    public Tensor table() {
        long[] r = new long[codebooks * length];
        Arrays.fill(r, OPEN);
        for (int i = 0; i < r.length; i++) {
            r[i] = delayed() && isStart(i / length, i % length) ? start : OPEN;
        }
        return Tensor.of(r, codebooks, length);
    }

    /** The frames of a full sequence, {@code [B, codebooks, length] -> [B, codebooks, frames]}. */
    public Tensor frames(Tensor sequence) {
        Tensor[] rows = new Tensor[codebooks];
        for (int k = 0; k < codebooks; k++) {
            rows[k] = sequence.select(1, k).narrow(1, delayed() ? delay(k) + 1 : 1, frames());
        }
        return Tensor.stack(1, rows);
    }
}
