package dev.zoetrope.media;

import dev.zoetrope.checkpoint.Check;

/**
 * Sound as the logarithm of its energy in bands, as Kaldi's filter banks compute it: frames of 25 ms every 10 ms, whole
 * ones only, each with its mean removed, pre-emphasised and under a Hann window; triangles evenly spaced on the mel scale
 * from 20 Hz to half the rate.
 *
 * @param rate samples a second
 * @param bands how many triangles
 */
public record MelBank(int rate, int bands) {
    private static final double FRAME_SECONDS = 0.025;
    private static final double SHIFT_SECONDS = 0.010;
    private static final double PRE_EMPHASIS = 0.97;
    private static final double LOWEST_HERTZ = 20;
    private static final double LEAST = 1.1920928955078125e-07; // float32's epsilon

    public MelBank {
        Check.positive(rate, "rate");
        Check.positive(bands, "mel bins");
    }

    /** {@code [frame, band]}; none where the sound is shorter than a frame. */
    public float[][] of(float... samples) {
        int frame = (int) (rate * FRAME_SECONDS);
        int shift = (int) (rate * SHIFT_SECONDS);
        int padded = Integer.highestOneBit(2 * frame - 1);
        double[][] triangles = triangles(padded);
        int frames = samples.length < frame ? 0 : 1 + (samples.length - frame) / shift;
        float[][] r = new float[frames][bands];
        for (int f = 0; f < frames; f++) {
            double[] power = power(windowed(samples, f * shift, frame), padded);
            for (int b = 0; b < bands; b++) {
                double sum = 0;
                for (int i = 0; i < power.length; i++) {
                    sum += triangles[b][i] * power[i];
                }
                r[f][b] = (float) Math.log(Math.max(sum, LEAST));
            }
        }
        return r;
    }

    private static double[] windowed(float[] samples, int from, int length) {
        double mean = 0;
        for (int i = 0; i < length; i++) {
            mean += samples[from + i];
        }
        mean /= length;
        double[] r = new double[length];
        double before = samples[from] - mean; // the first sample stands before itself
        for (int i = 0; i < length; i++) {
            double now = samples[from + i] - mean;
            double hann = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / (length - 1));
            r[i] = (now - PRE_EMPHASIS * before) * hann;
            before = now;
        }
        return r;
    }

    /** Of the frequencies below half the rate. */
    private static double[] power(double[] frame, int size) {
        double[] re = new double[size];
        double[] im = new double[size];
        System.arraycopy(frame, 0, re, 0, frame.length);
        fourier(re, im);
        double[] r = new double[size / 2];
        for (int i = 0; i < r.length; i++) {
            r[i] = re[i] * re[i] + im[i] * im[i];
        }
        return r;
    }

    /** In place; the length is a power of two. */
    private static void fourier(double[] re, double[] im) {
        int n = re.length;
        for (int i = 1, j = 0; i < n; i++) {
            int bit = n >> 1;
            for (; (j & bit) != 0; bit >>= 1) {
                j ^= bit;
            }
            j ^= bit;
            if (i < j) {
                double t = re[i];
                re[i] = re[j];
                re[j] = t;
                t = im[i];
                im[i] = im[j];
                im[j] = t;
            }
        }
        for (int length = 2; length <= n; length <<= 1) {
            for (int k = 0; k < length / 2; k++) {
                double cos = Math.cos(-2 * Math.PI * k / length);
                double sin = Math.sin(-2 * Math.PI * k / length);
                for (int a = k; a < n; a += length) {
                    int b = a + length / 2;
                    double x = re[b] * cos - im[b] * sin;
                    double y = re[b] * sin + im[b] * cos;
                    re[b] = re[a] - x;
                    im[b] = im[a] - y;
                    re[a] += x;
                    im[a] += y;
                }
            }
        }
    }

    private double[][] triangles(int size) {
        double low = mel(LOWEST_HERTZ);
        double step = (mel(rate / 2.0) - low) / (bands + 1);
        double[][] r = new double[bands][size / 2];
        for (int b = 0; b < bands; b++) {
            double left = low + b * step;
            for (int i = 0; i < size / 2; i++) {
                double at = (mel((double) i * rate / size) - left)
                        / step; // 0 at the left end, 1 at the tip, 2 at the right
                r[b][i] = Math.max(0, Math.min(at, 2 - at));
            }
        }
        return r;
    }

    private static double mel(double hertz) {
        return 1127 * Math.log(1 + hertz / 700);
    }
}
