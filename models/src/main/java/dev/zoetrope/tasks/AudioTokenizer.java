package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.media.Audio;
import dev.zoetrope.media.Resample;
import dev.zoetrope.media.Sounds;
import dev.zoetrope.models.dac.Dac;
import dev.zoetrope.models.encodec.EnCodec;
import dev.zoetrope.models.videopoet.SoundTokenizer;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Sound as tokens and back, by EnCodec, DAC or the sound tokenizer of a VideoPoet. Sound longer than a minute is cut into pieces of a minute, each of which
 * stands on its own, so memory does not grow with the length. Not safe for use by several threads at once.
 */
public final class AudioTokenizer implements AutoCloseable {
    private static final int PIECE_SECONDS = 60;
    private static final String POET = "videopoet_sound";

    /** One of the models. Tensors {@code [1, channel, sample]}; what is stored of a piece, by name. */
    private interface Codec extends AutoCloseable {
        Map<String, Tensor> encode(Tensor sound, int piece);

        Tensor decode(Tokens tokens, int piece);

        @Override
        void close();
    }

    private final Codec codec;
    private final String name;
    private final int rate;
    private final int channels;

    private AudioTokenizer(Codec codec, String name, int rate, int channels) {
        this.codec = codec;
        this.name = name;
        this.rate = rate;
        this.channels = channels;
    }

    /** Whether a folder holds such a tokenizer. */
    public static boolean isIn(Path folder) {
        String type = Json.read(folder.resolve("config.json")).get("model_type", "");
        return type.equals("encodec") || type.equals("dac") || type.equals(POET);
    }

    /** With all codebooks. */
    public static AudioTokenizer load(Path folder) {
        return load(folder, null);
    }

    /** @param bandwidth in kbit/s, one of those that an EnCodec was trained for; null for all codebooks */
    public static AudioTokenizer load(Path folder, @Nullable Double bandwidth) {
        return Pretrained.load(folder, (json, w) -> switch (json.get("model_type", "")) {
            case "encodec" -> encodec(new EnCodec(EnCodec.Config.of(json), w), bandwidth);
            case "dac" -> {
                if (bandwidth != null) {
                    throw new UserError("--bandwidth " + bandwidth + ": DAC has no choice of bandwidths");
                }
                yield dac(new Dac(Dac.Config.of(json), w));
            }
            case POET -> {
                if (bandwidth != null) {
                    throw new UserError("--bandwidth " + bandwidth + ": this model has no choice of bandwidths");
                }
                yield of(new SoundTokenizer(SoundTokenizer.Config.of(json), w));
            }
            default -> throw json.unsupported("model_type", "encodec, dac, " + POET);
        });
    }

    private static AudioTokenizer encodec(EnCodec model, @Nullable Double bandwidth) {
        EnCodec.Config c = model.config();
        double[] all = c.bandwidths();
        double chosen = bandwidth == null ? all[all.length - 1] : bandwidth;
        c.codebooks(chosen); // refuses others before anything is read
        Codec codec = new Codec() {
            @Override
            public Map<String, Tensor> encode(Tensor sound, int piece) {
                EnCodec.Codes codes = model.encode(sound, chosen);
                Map<String, Tensor> r = new LinkedHashMap<>();
                r.put(Tokens.name(piece), codes.codes().select(1, 0)); // [N, Q, F]
                Tensor scales = codes.scales();
                if (scales != null) {
                    r.put(scaleName(piece), scales.select(1, 0)); // [N, 1]
                }
                r.put("missing." + piece, Tensor.of(new long[] {codes.missing()}, 1));
                return r;
            }

            @Override
            public Tensor decode(Tokens tokens, int piece) {
                Tensor scales = tokens.pieces().get(scaleName(piece));
                Tensor missing = tokens.pieces().get("missing." + piece);
                return model.decode(new EnCodec.Codes(
                        tokens.piece(piece).unsqueeze(1),
                        scales == null ? null : scales.unsqueeze(1),
                        missing == null ? 0 : (int) missing.item()));
            }

            @Override
            public void close() {
                model.close();
            }
        };
        return new AudioTokenizer(
                codec, Tokens.identity("encodec", model.weights(), "codebook.embed"), c.rate(), c.audioChannels());
    }

    private static String scaleName(int piece) {
        return "scales." + piece;
    }

    private static AudioTokenizer dac(Dac model) {
        int hop = Arrays.stream(model.config().ratios()).reduce(1, Math::multiplyExact);
        Codec codec = new Codec() {
            @Override
            public Map<String, Tensor> encode(Tensor sound, int piece) {
                long missing = (hop - sound.size(2) % hop) % hop;
                Tensor whole = Functional.pad(sound, 0., 0, missing);
                return Map.of(Tokens.name(piece), model.encode(whole).codes().select(0, 0)); // [Q, F]
            }

            @Override
            public Tensor decode(Tokens tokens, int piece) {
                return model.decode(tokens.piece(piece).unsqueeze(0));
            }

            @Override
            public void close() {
                model.close();
            }
        };
        return new AudioTokenizer(
                codec,
                Tokens.identity("dac", model.weights(), "codebook.weight"),
                model.config().rate(),
                1);
    }

    /** Around a VideoPoet's; closing this closes it. */
    static AudioTokenizer of(SoundTokenizer model) {
        Codec codec = new Codec() {
            @Override
            public Map<String, Tensor> encode(Tensor sound, int piece) {
                return Map.of(
                        Tokens.name(piece), model.encode(sound.select(1, 0)).select(0, 0)); // [Q, F]
            }

            @Override
            public Tensor decode(Tokens tokens, int piece) {
                return model.decode(tokens.piece(piece).unsqueeze(0)).unsqueeze(1);
            }

            @Override
            public void close() {
                model.close();
            }
        };
        return new AudioTokenizer(
                codec,
                Tokens.identity("videopoet-sound", model.weights(), "codebook.weight"),
                model.config().rate(),
                1);
    }

    /** The sound of codes {@code [1, Q, F]} that no file holds. */
    Audio decoded(Tensor codes) {
        try (Scope s = Scope.open()) {
            Map<String, Tensor> piece = Map.of(Tokens.name(0), codes.select(0, 0));
            Tensor sound = codec.decode(new Tokens(name, piece, Map.of()), 0).clamp(-1, 1);
            return Audio.mono(sound.select(0, 0).select(0, 0).toFloats(), rate);
        }
    }

    /** Kind and digest; tokens are only decoded by the tokenizer that made them. */
    public String name() {
        return name;
    }

    /** Samples a second that the model takes. */
    public int rate() {
        return rate;
    }

    /** Channels that the model takes. */
    public int channels() {
        return channels;
    }

    /** Sound as the model takes it: its rate, and one channel for all or the same for both. */
    public Audio fitted(Audio audio) {
        if (audio.length() == 0) {
            throw new UserError("the sound has no samples");
        }
        Audio at = Resample.to(audio, rate);
        if (at.channels() == channels) {
            return at;
        }
        float[] mono = new float[at.length()];
        for (float[] channel : at.samples()) {
            for (int i = 0; i < mono.length; i++) {
                mono[i] += channel[i] / at.channels();
            }
        }
        float[][] all = new float[channels][];
        Arrays.fill(all, mono);
        return new Audio(all, rate);
    }

    /** The tokens of a sound, brought to the model's rate and channels; owned by the innermost scope. */
    public Tokens encode(Audio audio) {
        Audio fitted = fitted(audio);
        int piece = PIECE_SECONDS * rate;
        Map<String, Tensor> pieces = new LinkedHashMap<>();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            for (int from = 0, i = 0; from < fitted.length(); from += piece, i++) {
                try (Scope one = Scope.open()) {
                    int length = Math.min(piece, fitted.length() - from);
                    codec.encode(tensor(fitted, from, length), i)
                            .forEach((key, codes) -> pieces.put(key, one.keep(codes)));
                }
            }
            pieces.values().forEach(s::keep);
            return new Tokens(
                    name, pieces, Map.of("samples", String.valueOf(fitted.length()), "rate", String.valueOf(rate)));
        }
    }

    /**
     * What became of a file.
     *
     * @param rate of the file
     * @param channels of the file
     * @param snr signal to noise ratio in dB of what the tokens keep; NaN where it was not asked for, or all is silent
     */
    public record Encoded(Tokens tokens, int rate, int channels, double snr) {}

    /** The tokens of a file's sound, read and encoded a minute at a time; owned by the innermost scope. */
    public Encoded encode(Path file, boolean check) {
        Map<String, Tensor> pieces = new LinkedHashMap<>();
        long[] samples = {0};
        int[] form = new int[2];
        double[] power = new double[2]; // of the signal and of the noise
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Sounds.read(file, PIECE_SECONDS, audio -> {
                Audio fitted = fitted(audio);
                form[0] = audio.rate();
                form[1] = audio.channels();
                try (Scope one = Scope.open()) {
                    int piece = (int) (samples[0] / ((long) PIECE_SECONDS * rate));
                    Map<String, Tensor> codes = codec.encode(tensor(fitted, 0, fitted.length()), piece);
                    codes.forEach((key, t) -> pieces.put(key, one.keep(t)));
                    if (check) {
                        Tensor again = codec.decode(new Tokens(name, codes, Map.of()), piece);
                        compare(fitted, again.select(0, 0), power);
                    }
                }
                samples[0] += fitted.length();
            });
            pieces.values().forEach(s::keep);
        }
        Tokens tokens =
                new Tokens(name, pieces, Map.of("samples", String.valueOf(samples[0]), "rate", String.valueOf(rate)));
        return new Encoded(tokens, form[0], form[1], check ? 10 * Math.log10(power[0] / power[1]) : Double.NaN);
    }

    private static void compare(Audio sound, Tensor again, double[] power) {
        for (int c = 0; c < sound.channels(); c++) {
            float[] x = sound.samples()[c];
            float[] y = again.select(0, c)
                    .narrow(0, 0, Math.min(x.length, again.size(1)))
                    .toFloats();
            for (int i = 0; i < x.length; i++) {
                double d = x[i] - (i < y.length ? y[i] : 0);
                power[0] += x[i] * x[i];
                power[1] += d * d;
            }
        }
    }

    private static Tensor tensor(Audio audio, int from, int length) { // [1, channels, length]
        float[] values = new float[audio.channels() * length];
        for (int c = 0; c < audio.channels(); c++) {
            System.arraycopy(audio.samples()[c], from, values, c * length, length);
        }
        return Tensor.of(values, 1, audio.channels(), length);
    }

    /** The sound of tokens, as long as it was. */
    public Audio decode(Tokens tokens) {
        tokens.check(name);
        int samples = tokens.whole("samples");
        Check.positive(samples, "samples");
        float[][] all = new float[channels][samples];
        int piece = PIECE_SECONDS * rate;
        try (Autograd.Mode off = Autograd.off()) {
            for (int i = 0; i < tokens.length(); i++) {
                try (Scope s = Scope.open()) {
                    Tensor sound = codec.decode(tokens, i).select(0, 0); // [channels, L]
                    int from = i * piece;
                    int length = (int) Math.min(sound.size(1), Math.min(piece, samples - from));
                    for (int c = 0; c < channels; c++) {
                        float[] values = sound.select(0, c).narrow(0, 0, length).toFloats();
                        System.arraycopy(values, 0, all[c], from, length);
                    }
                }
            }
        }
        return new Audio(all, rate);
    }

    /** Signal to noise ratio of a copy in dB; infinite for an equal one. */
    public static double snr(Audio sound, Audio copy) {
        Check.equal(sound.channels(), copy.channels(), "channels of the sound", "of its copy");
        Check.equal(sound.length(), copy.length(), "samples of the sound", "of its copy");
        double signal = 0;
        double noise = 0;
        for (int c = 0; c < sound.channels(); c++) {
            for (int i = 0; i < sound.length(); i++) {
                double x = sound.samples()[c][i];
                double d = x - copy.samples()[c][i];
                signal += x * x;
                noise += d * d;
            }
        }
        return 10 * Math.log10(signal / noise);
    }

    @Override
    public void close() {
        codec.close();
    }
}
