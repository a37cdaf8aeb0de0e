package dev.zoetrope.media;

import dev.zoetrope.checkpoint.Check;

/**
 * Changes the rate of sound by a windowed sinc, with torchaudio's defaults: 6 zero crossings on each side, a Hann window,
 * and what lies above 0.99 of the lower band left out.
 */
public final class AudioResample {
    private static final int CROSSINGS = 6;
    private static final double ROLLOFF = 0.99;

    private AudioResample() {}

    /** The same sound at another rate; {@code ceil(length * to / from)} samples. */
    public static Audio to(Audio sound, int rate) {
        Check.positive(rate, "rate");
        if (rate == sound.rate()) {
            return sound;
        }
        int common = gcd(sound.rate(), rate);
        int from = sound.rate() / common;
        int to = rate / common;
        float[][] kernels = kernels(from, to);
        int width = (kernels[0].length - from) / 2;
        long length = ((long) sound.length() * to + from - 1) / from;
        float[][] r = new float[sound.channels()][Math.toIntExact(length)];
        for (int c = 0; c < r.length; c++) {
            float[] samples = sound.samples()[c];
            for (int i = 0; i < r[c].length; i++) {
                float[] kernel = kernels[i % to];
                int start = i / to * from - width;
                double sum = 0;
                for (int k = Math.max(0, -start); k < kernel.length && start + k < samples.length; k++) {
                    sum += (double) kernel[k] * samples[start + k];
                }
                r[c][i] = (float) sum;
            }
        }
        return new Audio(r, rate);
    }

    /** One kernel for each place of an output sample between input samples. */
    private static float[][] kernels(int from, int to) {
        double band = Math.min(from, to) * ROLLOFF;
        int width = (int) Math.ceil(CROSSINGS * from / band);
        float[][] r = new float[to][2 * width + from];
        for (int phase = 0; phase < to; phase++) {
            for (int k = 0; k < r[phase].length; k++) {
                double t = ((double) (k - width) / from - (double) phase / to) * band;
                t = Math.max(-CROSSINGS, Math.min(CROSSINGS, t));
                double window = Math.cos(t * Math.PI / CROSSINGS / 2);
                double sinc = t == 0 ? 1 : Math.sin(t * Math.PI) / (t * Math.PI);
                r[phase][k] = (float) (sinc * window * window * band / from);
            }
        }
        return r;
    }

    private static int gcd(int a, int b) {
        return b == 0 ? a : gcd(b, a % b);
    }
}
