package dev.zoetrope.media;

import java.util.Arrays;

/**
 * Sound as models make and take it.
 *
 * @param samples values [channel, time], -1..1; all channels are equally long. The arrays are not copied: whoever hands them
 *     over must not write to them any more.
 * @param rate samples a second
 */
@SuppressWarnings("ArrayRecordComponent")
public record Audio(float[][] samples, int rate) {

    public Audio {
        if (rate < 1) {
            throw new IllegalArgumentException("audio: rate " + rate + " Hz, must be at least 1");
        }
        if (samples.length < 1) {
            throw new IllegalArgumentException("audio: no channel");
        }
        for (int c = 1; c < samples.length; c++) {
            if (samples[c].length != samples[0].length) {
                throw new IllegalArgumentException("audio: channel " + c + " has " + samples[c].length
                        + " samples, channel 0 has " + samples[0].length);
            }
        }
    }

    /** Sound of one channel. */
    public static Audio mono(float[] samples, int rate) {
        return new Audio(new float[][] {samples}, rate);
    }

    public int channels() {
        return samples.length;
    }

    /** How many samples each channel has. */
    public int length() {
        return samples[0].length;
    }

    public double seconds() {
        return (double) length() / rate;
    }

    /** The beginning, at most so many seconds of it. */
    public Audio first(double seconds) {
        int length = (int) Math.min(length(), Math.round(seconds * rate));
        float[][] beginning = new float[channels()][];
        for (int c = 0; c < beginning.length; c++) {
            beginning[c] = Arrays.copyOf(samples[c], length);
        }
        return new Audio(beginning, rate);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Audio audio && rate == audio.rate && Arrays.deepEquals(samples, audio.samples);
    }

    @Override
    public int hashCode() {
        return 31 * rate + Arrays.deepHashCode(samples);
    }

    @Override
    public String toString() {
        return "Audio[" + channels() + " x " + length() + " at " + rate + " Hz]";
    }
}
