package dev.zoetrope.media;

import org.jspecify.annotations.Nullable;

/** Sounds one after the other. */
public final class Soundtrack {
    private Soundtrack() {}

    /**
     * A part of it.
     *
     * @param audio null for silence; mixed to one channel, cut or filled up with silence to the length
     * @param seconds its length
     */
    public record Part(@Nullable Audio audio, double seconds) {}

    /** All parts in one channel at this rate. */
    public static Audio of(int rate, Part... parts) {
        int length = 0;
        for (Part part : parts) {
            length += samples(part, rate);
        }
        float[] all = new float[length];
        int at = 0;
        for (Part part : parts) {
            if (part.audio != null && part.audio.length() > 0) {
                Audio fitted = Resample.to(part.audio, rate);
                for (int i = 0; i < Math.min(samples(part, rate), fitted.length()); i++) {
                    for (float[] channel : fitted.samples()) {
                        all[at + i] += channel[i] / fitted.channels();
                    }
                }
            }
            at += samples(part, rate);
        }
        return Audio.mono(all, rate);
    }

    private static int samples(Part part, int rate) {
        return (int) Math.round(part.seconds * rate);
    }
}
