package dev.zoetrope.media;

/**
 * Changes sample rates by a windowed sinc, as torchaudio does by default: Hann window, 6 zero crossings on each side, cut
 * off at 0.99 of the lower Nyquist frequency. The result has ceil(length * to / from) samples.
 */
public final class Resample {

    private static final int ZERO_CROSSINGS = 6;
    private static final double ROLL_OFF = 0.99;

    private Resample() {}

    /** The sound at another rate; the same object if the rate is its own. */
    public static Audio to(Audio audio, int rate) {
        if (rate < 1) {
            throw new IllegalArgumentException("resample: rate " + rate + " Hz, must be at least 1");
        }
        if (rate == audio.rate()) {
            return audio;
        }
        int divisor = gcd(audio.rate(), rate);
        int from = audio.rate() / divisor;
        int to = rate / divisor;
        Taps[] phases = phases(from, to);
        int length = Math.toIntExact(((long) audio.length() * to + from - 1) / from);
        float[][] samples = new float[audio.channels()][];
        for (int c = 0; c < samples.length; c++) {
            samples[c] = channel(audio.samples()[c], phases, from, length);
        }
        return new Audio(samples, rate);
    }

    private static int gcd(int a, int b) {
        return b == 0 ? a : gcd(b, a % b);
    }

    /** The weights of the input samples from `first` on, counted from the start of the period. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Taps(int first, float[] weights) {}

    /** For each of the `to` output samples in a period of `from` input samples, the filter at its place. */
    private static Taps[] phases(int from, int to) {
        double base = Math.min(from, to) * ROLL_OFF;
        double reach = ZERO_CROSSINGS * from / base;
        Taps[] phases = new Taps[to];
        for (int phase = 0; phase < to; phase++) {
            double centre = (double) phase * from / to;
            int first = (int) Math.ceil(centre - reach);
            float[] weights = new float[(int) Math.floor(centre + reach) - first + 1];
            for (int k = 0; k < weights.length; k++) {
                double t = (first + k - centre) / from * base;
                double window = Math.cos(t * Math.PI / ZERO_CROSSINGS / 2);
                double sinc = t == 0 ? 1 : Math.sin(t * Math.PI) / (t * Math.PI);
                weights[k] = (float) (sinc * window * window * base / from);
            }
            phases[phase] = new Taps(first, weights);
        }
        return phases;
    }

    private static float[] channel(float[] in, Taps[] phases, int from, int length) {
        float[] out = new float[length];
        for (int i = 0; i < length; i++) {
            Taps taps = phases[i % phases.length];
            long start = (long) (i / phases.length) * from + taps.first;
            float sum = 0;
            for (int k = (int) Math.max(0, -start); k < taps.weights.length && start + k < in.length; k++) {
                sum += taps.weights[k] * in[(int) (start + k)];
            }
            out[i] = sum;
        }
        return out;
    }
}
