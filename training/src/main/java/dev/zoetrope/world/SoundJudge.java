package dev.zoetrope.world;

import dev.zoetrope.media.Audio;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Reads pitch, onsets and timbre of one object from samples alone; shares no code with what makes the sound. */
public final class SoundJudge {
    /** Seconds between two pitches of a verdict. */
    public static final double HOP = .01;

    private static final double WINDOW = .04;
    private static final double LOWEST = 190;
    private static final double HIGHEST = 1000;
    private static final double VOICED = .6;
    private static final double NEAR_BEST = .9;
    private static final double LOUD_ON = .22;
    private static final double LOUD_OFF = .1;
    private static final double SAME_ONSET = .04;

    private SoundJudge() {}

    /**
     * What was heard.
     *
     * @param pitch in Hz, one each {@link #HOP}, centred there; NaN where there is none
     * @param onsets in seconds
     * @param timbre the nearest of the ten
     */
    public record Verdict(List<Double> pitch, List<Double> onsets, Timbre timbre) {

        public Verdict {
            pitch = List.copyOf(pitch);
            onsets = List.copyOf(onsets);
        }

        /** Median distance in semitones from what the sprite should sound like, over what has a pitch; infinite if nothing has. */
        public double pitchError(Scene scene, Scene.Sprite sprite) {
            double[] errors = new double[pitch.size()];
            int n = 0;
            for (int i = 0; i < errors.length; i++) {
                if (!Double.isNaN(pitch.get(i))) {
                    errors[n++] =
                            Math.abs(12 * Math.log(pitch.get(i) / Sound.pitch(scene, sprite, i * HOP)) / Math.log(2));
                }
            }
            Arrays.sort(errors, 0, n);
            return n == 0 ? Double.POSITIVE_INFINITY : errors[n / 2];
        }

        /**
         * Harmonic mean of precision and recall of the onsets; 1 if there are none and none were heard. The very start and end of
         * the sound do not count.
         */
        public double onsetF1(List<Double> expected, double seconds, double tolerance) {
            List<Double> open = new ArrayList<>(inside(expected, seconds, tolerance));
            List<Double> heard = inside(onsets, seconds, tolerance);
            int all = open.size() + heard.size();
            int hits = 0;
            for (double onset : heard) {
                for (int i = 0; i < open.size(); i++) {
                    if (Math.abs(open.get(i) - onset) <= tolerance) {
                        open.remove(i);
                        hits++;
                        break;
                    }
                }
            }
            return all == 0 ? 1 : 2. * hits / all;
        }

        private static List<Double> inside(List<Double> onsets, double seconds, double margin) {
            return onsets.stream()
                    .filter(t -> t > margin && t < seconds - margin)
                    .toList();
        }
    }

    /** Listens to the first channel. */
    public static Verdict judge(Audio audio) {
        float[] samples = audio.samples()[0];
        List<Double> pitch = new ArrayList<>();
        for (double t = 0; t < audio.seconds(); t += HOP) {
            pitch.add(pitch(samples, audio.rate(), t));
        }
        return new Verdict(pitch, onsets(samples, audio.rate()), timbre(samples, audio.rate(), pitch));
    }

    /** The first lag whose normalised autocorrelation comes near the best. */
    private static double pitch(float[] samples, int rate, double seconds) {
        int half = (int) (WINDOW * rate / 2);
        int middle = (int) (seconds * rate);
        int from = Math.max(0, middle - half);
        int to = Math.min(samples.length, middle + half);
        int shortest = (int) (rate / HIGHEST);
        int longest = (int) (rate / LOWEST);
        if (to - from < 2 * longest) {
            return Double.NaN;
        }
        double[] alike = new double[longest + 2];
        double best = 0;
        for (int lag = shortest - 1; lag <= longest + 1; lag++) {
            double both = 0;
            double first = 1e-9;
            double second = 1e-9;
            for (int i = from; i + lag < to; i++) {
                both += samples[i] * samples[i + lag];
                first += samples[i] * samples[i];
                second += samples[i + lag] * samples[i + lag];
            }
            alike[lag] = first < 1e-4 ? 0 : both / Math.sqrt(first * second);
            best = Math.max(best, alike[lag]);
        }
        if (best < VOICED) {
            return Double.NaN;
        }
        for (int lag = shortest; lag <= longest; lag++) {
            if (alike[lag] >= NEAR_BEST * best && alike[lag] >= alike[lag - 1] && alike[lag] >= alike[lag + 1]) {
                double bend = alike[lag - 1] - 2 * alike[lag] + alike[lag + 1];
                double off = bend < -1e-9 ? .5 * (alike[lag - 1] - alike[lag + 1]) / bend : 0;
                return rate / (lag + off);
            }
        }
        return Double.NaN;
    }

    /** Where the sound rises out of silence, and where something sharp stands out from what is around it. */
    private static List<Double> onsets(float[] samples, int rate) {
        int step = rate / 200;
        int windows = samples.length / step;
        double[] loud = new double[windows];
        double[] sharp = new double[windows];
        for (int w = 0; w < windows; w++) {
            for (int i = w * step; i < (w + 1) * step; i++) {
                loud[w] += samples[i] * samples[i];
                if (i >= 3) { // third difference: a click has much of it, a tone little
                    double d = samples[i] - 3 * samples[i - 1] + 3 * samples[i - 2] - samples[i - 3];
                    sharp[w] += d * d;
                }
            }
        }
        double loudest = Math.sqrt(Arrays.stream(loud).max().orElse(0));
        List<Double> onsets = new ArrayList<>();
        boolean off = false;
        for (int w = 0; w < windows; w++) {
            double level = Math.sqrt(loud[w]) / Math.max(1e-6, loudest);
            if (off && level > LOUD_ON) {
                add(onsets, (double) w * step / rate);
            }
            off = off ? level <= LOUD_ON : level < LOUD_OFF;
            double[] around = Arrays.copyOfRange(sharp, Math.max(0, w - 10), Math.min(windows, w + 11));
            Arrays.sort(around);
            if (sharp[w] > 6 * around[around.length / 2] + .02 * step) {
                add(onsets, (double) w * step / rate);
            }
        }
        return onsets;
    }

    private static void add(List<Double> onsets, double time) {
        if (onsets.isEmpty() || time - onsets.get(onsets.size() - 1) > SAME_ONSET) {
            onsets.add(time);
        }
    }

    private static Timbre timbre(float[] samples, int rate, List<Double> pitch) {
        double[] strengths = new double[Timbre.count()];
        int half = (int) (WINDOW * rate / 2);
        for (int k = 0; k < pitch.size(); k++) {
            int middle = (int) (k * HOP * rate);
            if (!Double.isNaN(pitch.get(k)) && middle >= half && middle + half <= samples.length) {
                for (int h = 0; h < strengths.length; h++) {
                    strengths[h] += strength(samples, middle, half, 2 * Math.PI * (h + 1) * pitch.get(k) / rate);
                }
            }
        }
        double sum = Math.max(1e-9, Arrays.stream(strengths).sum());
        Timbre nearest = Timbre.ENGINE;
        double least = Double.POSITIVE_INFINITY;
        for (Timbre timbre : Timbre.values()) {
            double distance = 0;
            for (int h = 0; h < strengths.length; h++) {
                double d = strengths[h] / sum - timbre.partial(h);
                distance += d * d;
            }
            if (distance < least) {
                least = distance;
                nearest = timbre;
            }
        }
        return nearest;
    }

    /** Amplitude at an angular frequency, under a raised cosine. */
    private static double strength(float[] samples, int middle, int half, double turn) {
        double real = 0;
        double imaginary = 0;
        for (int i = -half; i < half; i++) {
            double weight = 1 + Math.cos(Math.PI * i / half);
            real += weight * samples[middle + i] * Math.cos(turn * i);
            imaginary += weight * samples[middle + i] * Math.sin(turn * i);
        }
        return Math.hypot(real, imaginary);
    }
}
