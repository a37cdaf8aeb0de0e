package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.ResidualVq;
import dev.zoetrope.nn.Conv1d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Autocast;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Sound to residual codes and back. Like SoundStream (arXiv:2107.03312) a convolutional encoder, residual tables and a
 * decoder; unlike it the encoder reads magnitudes and the decoder steers a bank of partials and noise (arXiv:2001.04643).
 * So no code holds a phase, which a language model could not foretell. Made for one tone at a time: speech and music come
 * back as a tone that follows them.
 *
 * <p>B sounds, L samples, F = L / hop frames, S = F {@value #SUBFRAMES} control steps, D channels, Q codebooks, H partials.
 */
public final class SoundTokenizer implements AutoCloseable {
    /** Control steps of a frame. */
    public static final int SUBFRAMES = 4;

    private static final int LONG_OVERLAP = 4; // hops of a window that tells pitches apart
    private static final int SHORT_OVERLAP = 2; // subframes of one that tells moments apart
    private static final double SILENCE = 1e-3;
    private static final double LOWEST = 110; // Hz
    private static final double OCTAVES = 4;
    private static final long NOISE_SEED = 7;

    /**
     * @param rate samples a second
     * @param hop samples of a frame, a multiple of {@value #SUBFRAMES}
     * @param bins of the long spectrum that the encoder reads
     * @param width D
     * @param blocks residual blocks of the encoder, and of the decoder
     * @param codebooks Q
     * @param codebookSize entries of each
     * @param codebookWidth of an entry
     * @param partials H
     */
    public record Config(
            int rate,
            int hop,
            int bins,
            int width,
            int blocks,
            int codebooks,
            int codebookSize,
            int codebookWidth,
            int partials) {
        public Config {
            Check.positive(rate, "sampling_rate");
            Check.divides(SUBFRAMES, hop, "the number of subframes", "hop");
            Check.positive(width, "width");
            Check.positive(partials, "partials");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("sampling_rate", 16000),
                    j.get("hop", 400),
                    j.get("bins", 400),
                    j.get("width", 128),
                    j.get("blocks", 3),
                    j.get("n_codebooks", 4),
                    j.get("codebook_size", 256),
                    j.get("codebook_dim", 8),
                    j.get("partials", 12));
        }

        /** Frames of a sound of so many samples; the last may be filled with silence. */
        public int frames(long samples) {
            return (int) ((samples + hop - 1) / hop);
        }
    }

    private final Config config;
    private final Weights weights;
    private final Spectrum longSpectrum;
    private final Spectrum shortSpectrum;
    private final List<Module> encoder;
    private final ResidualVq quantizer;
    private final List<Module> decoder;

    public SoundTokenizer(Config c, Weights w) {
        config = c;
        weights = w;
        int sub = c.hop() / SUBFRAMES;
        longSpectrum = new Spectrum(c.hop(), LONG_OVERLAP, c.bins());
        shortSpectrum = new Spectrum(sub, SHORT_OVERLAP, sub);
        encoder = layers(w.at("encoder"), c.bins() + SUBFRAMES * sub, c.width(), c);
        quantizer = new ResidualVq(
                new ResidualVq.Config(c.width(), c.codebooks(), c.codebookSize(), c.codebookWidth()),
                w.at("quantizer.quantizers"));
        decoder = layers(w.at("decoder"), c.width(), SUBFRAMES * (c.partials() + 3), c);
    }

    public static SoundTokenizer load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new SoundTokenizer(Config.of(json), w));
    }

    private static List<Module> layers(Weights w, int in, int out, Config c) {
        List<Module> r = new ArrayList<>();
        r.add(new Conv1d(w.at("conv_in"), in, c.width(), 1, 1, 0));
        for (int i = 0; i < c.blocks(); i++) {
            r.add(new Residual(w.at("blocks").at(i), c.width()));
        }
        r.add(Tensor::silu);
        r.add(new Conv1d(w.at("conv_out"), c.width(), out, 3, 1, 1));
        return List.copyOf(r);
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /**
     * @param sound {@code [B, L]} in -1..1, L at least 1
     * @return {@code [B, Q, F]} INT64
     */
    public Tensor encode(Tensor sound) {
        try (Scope s = Scope.open()) {
            return s.keep(quantizer.quantize(features(whole(sound))).codes());
        }
    }

    /** The sound of codes, {@code [B, Q', F] -> [B, F hop]}; the last codebooks may be missing. */
    public Tensor decode(Tensor codes) {
        Check.shape(codes.shape(), "codes", -1, -1, -1);
        if (codes.min().item() < 0 || codes.max().item() >= config.codebookSize()) {
            throw new UserError("tokens: a code is outside 0.." + (config.codebookSize() - 1));
        }
        try (Scope s = Scope.open()) {
            return s.keep(sound(controls(quantizer.decode(codes))));
        }
    }

    /**
     * What training looks at.
     *
     * @param sound as it comes back, {@code [B, F hop]}
     * @param octaves pitch of each control step in octaves above 110 Hz, {@code [B, S]}
     * @param tie of vectors and tables, a number
     * @param codes {@code [B, Q, F]}
     */
    public record Trained(Tensor sound, Tensor octaves, Tensor tie, Tensor codes) {}

    /** Both ways, with gradients; L a multiple of the hop. */
    public Trained reconstruct(Tensor sound) {
        try (Scope s = Scope.open()) {
            ResidualVq.Codes q = quantizer.quantize(features(sound));
            Controls c = controls(q.values());
            return new Trained(
                    s.keep(sound(c)), s.keep(c.octaves), s.keep(q.tie(1).mul(.25)), s.keep(q.codes()));
        }
    }

    /** Above 110 Hz, as {@link Trained#octaves} counts. */
    public static double octaves(double hertz) {
        return Math.log(hertz / LOWEST) / Math.log(2);
    }

    private Tensor whole(Tensor sound) {
        long missing = (long) config.frames(sound.size(1)) * config.hop() - sound.size(1);
        return missing == 0 ? sound : Functional.pad(sound, 0., 0, missing);
    }

    private Tensor features(Tensor sound) { // [B, L] -> [B, D, F]
        Tensor pitches = longSpectrum.of(sound.detach()); // [B, F, bins]
        Tensor moments =
                shortSpectrum.of(sound.detach()).unflatten(1, -1, SUBFRAMES).flatten(2);
        Tensor x = Tensor.cat(2, pitches, moments).add(SILENCE).log().add(4).div(2); // about -1.5 .. 2
        return Steps.run(x.transpose(1, 2), encoder);
    }

    /** {@code [B, S]} each, amplitudes of the partials {@code [B, H, S]}. */
    private record Controls(Tensor octaves, Tensor partials, Tensor noise) {}

    private Controls controls(Tensor values) { // [B, D, F]
        Tensor y = Steps.run(values, decoder)
                .to(dev.zoetrope.tensor.DType.FLOAT32)
                .unflatten(1, -1, SUBFRAMES) // [B, H + 3, SUBFRAMES, F]
                .transpose(2, 3)
                .flatten(2); // [B, H + 3, S]
        Tensor octaves = y.select(1, 0).sigmoid().mul(OCTAVES);
        Tensor loudness = y.narrow(1, 1, 1).add(-1).softplus();
        Tensor share = y.narrow(1, 3, config.partials()).mul(2).softmax(1);
        return new Controls(octaves, share.mul(loudness), y.select(1, 2).add(-4).softplus());
    }

    private Tensor sound(Controls c) {
        try (Scope s = Scope.open();
                Autocast full = Autocast.off();
                RandomSource random = RandomSource.of(NOISE_SEED)) {
            long length = c.octaves.size(1) * config.hop() / SUBFRAMES;
            Tensor hertz = at(c.octaves, length).mul(Math.log(2)).exp().mul(LOWEST); // [B, L]
            Tensor turns = hertz.div(config.rate()).cumsum(1).unsqueeze(1);
            Tensor partial = Tensor.arange(1, config.partials() + 1, 1)
                    .to(dev.zoetrope.tensor.DType.FLOAT32)
                    .reshape(1, -1, 1); // [1, H, 1]
            Tensor audible =
                    hertz.unsqueeze(1).mul(partial).lt(config.rate() / 2.).to(partial.dtype());
            Tensor amplitudes = Functional.interpolate1d(c.partials, length, true, false);
            Tensor tone = turns.mul(partial)
                    .remainder(1.0)
                    .mul(2 * Math.PI)
                    .sin()
                    .mul(amplitudes)
                    .mul(audible)
                    .sum(1);
            Tensor noise = random.uniformBetween(-1, 1, 1, length);
            return s.keep(tone.add(noise.mul(at(c.noise, length))));
        }
    }

    private static Tensor at(Tensor control, long length) { // [B, S] -> [B, L]
        return Functional.interpolate1d(control.unsqueeze(1), length, true, false)
                .squeeze(1);
    }

    /** Two convolutions, and the input around them. */
    private static final class Residual implements Module {
        private final Conv1d in;
        private final Conv1d out;

        Residual(Weights w, int width) {
            in = new Conv1d(w.at("conv1"), width, width, 3, 1, 1);
            out = new Conv1d(w.at("conv2"), width, width, 1, 1, 0);
        }

        @Override
        public Tensor forward(Tensor x) { // [B, D, F]
            try (Scope s = Scope.open()) {
                return s.keep(x.add(out.forward(in.forward(x.silu()).silu())));
            }
        }
    }

    @Override
    public void close() {
        longSpectrum.close();
        shortSpectrum.close();
        weights.close();
    }
}
