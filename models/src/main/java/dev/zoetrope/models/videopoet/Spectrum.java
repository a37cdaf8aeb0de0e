package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Magnitudes of the short-time Fourier transform, by a product with sines and cosines: differentiable, and as fast as a
 * transform for windows this short. Frames are centred at {@code (f + 1/2) hop}.
 *
 * <p>B sounds, L samples, F = L / hop frames.
 */
public final class Spectrum implements AutoCloseable {
    private static final double LEAST = 1e-7; // of a squared magnitude, where the root has no slope

    private final int hop;
    private final int overlap;
    private final int bins;
    private final Tensor waves; // [window, 2 bins]

    /**
     * @param hop samples from one frame to the next
     * @param overlap hops in a window
     * @param bins of the lowest frequencies, at most half a window
     */
    public Spectrum(int hop, int overlap, int bins) {
        Check.atMost(hop * overlap / 2, bins, "half the window", "bins");
        this.hop = hop;
        this.overlap = overlap;
        this.bins = bins;
        int window = hop * overlap;
        float[] w = new float[window * 2 * bins];
        for (int t = 0; t < window; t++) {
            double fade =
                    (1 - Math.cos(2 * Math.PI * (t + .5) / window)) / window * 2; // a sine of amplitude a becomes a
            for (int k = 0; k < bins; k++) {
                double turn = 2 * Math.PI * k * t / window;
                w[t * 2 * bins + k] = (float) (fade * Math.cos(turn));
                w[t * 2 * bins + bins + k] = (float) (fade * Math.sin(turn));
            }
        }
        waves = Scope.detach(Tensor.of(w, window, 2L * bins));
    }

    /** {@code [B, L] -> [B, F, bins]}; L a multiple of the hop. */
    public Tensor of(Tensor sound) {
        Check.divides(hop, sound.size(1), "the hop of a spectrum", "the length of a sound");
        try (Scope s = Scope.open()) {
            int around = (overlap - 1) * hop;
            Tensor pieces =
                    Functional.pad(sound, 0., around / 2, around - around / 2).unflatten(1, -1, hop);
            long frames = sound.size(1) / hop;
            List<Tensor> shifted = new ArrayList<>();
            for (int i = 0; i < overlap; i++) {
                shifted.add(pieces.narrow(1, i, frames));
            }
            Tensor parts = Tensor.cat(2, shifted).matmul(waves); // [B, F, 2 bins]
            Tensor power = parts.narrow(2, 0, bins)
                    .square()
                    .add(parts.narrow(2, bins, bins).square());
            return s.keep(power.add(LEAST).sqrt());
        }
    }

    @Override
    public void close() {
        waves.close();
    }
}
