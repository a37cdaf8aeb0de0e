package dev.zoetrope.models.imagebind;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.AudioResample;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.MelBank;
import dev.zoetrope.media.Resize;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Interpolation;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** From files' contents to what {@link ImageBind} reads, in its release's arithmetic. */
public final class ImageBindInputs {
    private static final double[] MEAN = {0.48145466, 0.4578275, 0.40821073};
    private static final double[] STD = {0.26862954, 0.26130258, 0.27577711};

    private ImageBindInputs() {}

    /** A picture's middle, {@code [3, size, size]}. */
    public static Tensor image(Image picture, int size) {
        int w = picture.width();
        int h = picture.height();
        int longSide = (int) ((long) size * Math.max(w, h) / Math.min(w, h));
        Image fit = w <= h
                ? Resize.to(picture, size, longSide, Filter.BICUBIC)
                : Resize.to(picture, longSide, size, Filter.BICUBIC);
        Image middle = fit.crop(middle(fit.width(), size), middle(fit.height(), size), size, size);
        try (Scope s = Scope.open()) {
            return s.keep(normalised(Tensor.of(middle.planes(), 3, size, size), 3, 1, 1));
        }
    }

    /** Halves go to the even number, as Python rounds. */
    private static int middle(int length, int size) {
        return (int) Math.rint((length - size) / 2.0);
    }

    /** @param shape of three numbers among as many axes */
    private static Tensor normalised(Tensor unit, long... shape) {
        return unit.sub(Tensor.of(MEAN, shape).to(unit.dtype()))
                .div(Tensor.of(STD, shape).to(unit.dtype()));
    }

    /**
     * How clips are taken out of a longer recording.
     *
     * @param clips how many
     * @param seconds of each
     * @param touchesEnd whether the last ends where the recording ends; an older sampler, which NExT-GPT was trained
     *     with, stops before
     */
    public record Clips(int clips, double seconds, boolean touchesEnd) {
        public static final Clips AUDIO = new Clips(3, 2, true);
        public static final Clips VIDEO = new Clips(5, 2, true);

        public Clips {
            Check.positive(clips, "clips");
            Check.positive(seconds, "seconds of a clip");
        }

        /** Seconds at which each begins. */
        public List<Double> starts(double duration) {
            List<Double> r = new ArrayList<>();
            for (int i = 0; i < clips; i++) {
                r.add(i * last(duration) / parts());
            }
            return r;
        }

        private double last(double duration) {
            return Math.max(duration - seconds, 0);
        }

        private int parts() {
            return touchesEnd ? Math.max(clips - 1, 1) : clips;
        }

        /**
         * The sample so many seconds into a clip of a sound. The reference reckons in fractions, where 1.65 s is a little
         * less than it says; rounded before, a clip would begin a sample later.
         */
        int sample(int clip, double into, int length, int rate) {
            BigDecimal start = new BigDecimal(last((double) length / rate)).multiply(BigDecimal.valueOf(clip));
            BigDecimal all = start.add(new BigDecimal(into).multiply(BigDecimal.valueOf(parts())));
            return all.multiply(BigDecimal.valueOf(rate))
                    .divideToIntegralValue(BigDecimal.valueOf(parts()))
                    .intValueExact();
        }
    }

    /**
     * How sound becomes pictures.
     *
     * @param frames to which each clip is cut or filled up
     * @param mean of the logarithms of all bands over the training data
     * @param std of these
     */
    public record Bands(int rate, int bands, int frames, double mean, double std) {
        public static final Bands PUBLISHED = new Bands(16000, 128, 204, -4.268, 9.138);
    }

    /** Clips of a sound at any rate, {@code [clips, 1, bands, frames]}. */
    public static Tensor audio(Audio sound, Clips clips, Bands b) {
        List<Tensor> all = new ArrayList<>();
        try (Scope s = Scope.open()) {
            for (Tensor bank : banks(sound, clips, b)) {
                all.add(bank.sub(b.mean).div(b.std));
            }
            return s.keep(Tensor.stack(0, all));
        }
    }

    /** The bands of each clip, before they are normalised; what is missing at the end is zero. {@code [1, bands, frames]}. */
    public static List<Tensor> banks(Audio sound, Clips clips, Bands b) {
        Audio fit = AudioResample.to(sound, b.rate);
        List<Tensor> r = new ArrayList<>();
        for (int i = 0; i < clips.clips; i++) {
            int from = clips.sample(i, 0, fit.length(), b.rate);
            int to = Math.min(fit.length(), clips.sample(i, clips.seconds, fit.length(), b.rate));
            r.add(bank(centred(fit, from, to), b));
        }
        return r;
    }

    /** A clip of the first channel without the mean over all. */
    private static float[] centred(Audio sound, int from, int to) {
        double sum = 0;
        for (float[] channel : sound.samples()) {
            for (int i = from; i < to; i++) {
                sum += channel[i];
            }
        }
        float mean = (float) (sum / ((long) sound.channels() * Math.max(1, to - from)));
        float[] r = Arrays.copyOfRange(sound.samples()[0], from, to);
        for (int i = 0; i < r.length; i++) {
            r[i] -= mean;
        }
        return r;
    }

    private static Tensor bank(float[] clip, Bands b) {
        float[][] frames = new MelBank(b.rate, b.bands).of(clip);
        if (frames.length == 0) {
            throw new UserError("a sound of " + clip.length + " samples is too short to be heard; 25 ms are needed");
        }
        float[] r = new float[b.bands * b.frames];
        for (int f = 0; f < Math.min(frames.length, b.frames); f++) {
            for (int band = 0; band < b.bands; band++) {
                r[band * b.frames + f] = frames[f][band];
            }
        }
        return Tensor.of(r, 1, b.bands, b.frames);
    }

    /**
     * The frames of one clip that the model sees, their short side scaled, {@code [3, chosen, h, w]}, normalised.
     *
     * @param frames {@code [3, T, H, W]} of 0..255
     * @param chosen how many, spread from the first to the last
     */
    public static Tensor scaled(Tensor frames, int size, int chosen) {
        int length = (int) frames.size(1);
        long[] at = new long[chosen];
        for (int i = 0; i < chosen; i++) {
            at[i] = chosen == 1 ? 0 : (long) ((double) i * (length - 1) / (chosen - 1));
        }
        long h = frames.size(2);
        long w = frames.size(3);
        long height = w < h ? (long) Math.floor((double) h / w * size) : size;
        long width = w < h ? size : (long) Math.floor((double) w / h * size);
        try (Scope s = Scope.open()) {
            Tensor unit =
                    frames.indexSelect(1, Tensor.of(at, chosen)).div(255.0).transpose(0, 1); // [chosen, 3, H, W]
            Tensor fit = Functional.interpolate(unit, height, width, Interpolation.BILINEAR, false, false);
            return s.keep(normalised(fit.transpose(0, 1), 3, 1, 1, 1));
        }
    }

    /** Three squares along the long side, at its start, middle and end: {@code [3 crops, 3, chosen, size, size]}. */
    public static Tensor crops(Tensor scaled, int size) {
        int axis = scaled.size(2) > scaled.size(3) ? 2 : 3;
        long rest = scaled.size(axis) - size;
        try (Scope s = Scope.open()) {
            List<Tensor> r = new ArrayList<>();
            for (long from : new long[] {0, (rest + 1) / 2, rest}) {
                r.add(scaled.narrow(axis, from, size));
            }
            return s.keep(Tensor.stack(0, r));
        }
    }
}
