package dev.zoetrope.models.dac;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.ResidualVq;
import dev.zoetrope.nn.Conv1d;
import dev.zoetrope.nn.ConvTranspose1d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * DAC, the Descript audio codec, arXiv:2306.06546: sound as rows of codes that are looked for on a sphere of few
 * dimensions. Names as in descript/dac_24khz and descript/dac_44khz.
 *
 * <p>Axes: B sounds, L samples, F frames, D hidden, Q codebooks, E width of a codebook.
 */
public final class Dac implements AutoCloseable {
    /**
     * @param encoderWidth of the encoder's first layer, doubled at each shortening
     * @param ratios by which the encoder shortens
     * @param decoderWidth of the decoder's first layer, halved at each lengthening
     * @param upRatios by which the decoder lengthens
     * @param codebooks Q
     * @param codebookWidth E
     * @param rate samples a second
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Config(
            int encoderWidth,
            int[] ratios,
            int decoderWidth,
            int[] upRatios,
            int hidden,
            int codebooks,
            int codebookSize,
            int codebookWidth,
            int rate) {
        public Config {
            Check.positive(encoderWidth, "encoder_hidden_size");
            Check.positive(codebooks, "n_codebooks");
            Check.positive(codebookSize, "codebook_size");
            Check.positive(codebookWidth, "codebook_dim");
            Check.positive(rate, "sampling_rate");
            Check.divides(1L << upRatios.length, decoderWidth, "2^upsampling_ratios", "decoder_hidden_size");
        }

        public static Config of(Json j) {
            int width = j.get("encoder_hidden_size", 64);
            int[] ratios = j.get("downsampling_ratios", new int[] {2, 4, 8, 8});
            int[] reversed = new int[ratios.length];
            for (int i = 0; i < ratios.length; i++) {
                reversed[i] = ratios[ratios.length - 1 - i];
            }
            return new Config(
                    width,
                    ratios,
                    j.get("decoder_hidden_size", 1536),
                    reversed, // whatever upsampling_ratios and hidden_size say
                    width << ratios.length,
                    j.get("n_codebooks", 9),
                    j.get("codebook_size", 1024),
                    j.get("codebook_dim", 8),
                    j.get("sampling_rate", 16000));
        }
    }

    /**
     * A sound as codes.
     *
     * @param codes {@code [B, Q, F]} INT64
     * @param quantized {@code [B, D, F]}, what the codes stand for
     * @param latents {@code [B, Q E, F]}, what was quantised in each codebook
     */
    public record Codes(Tensor codes, Tensor quantized, Tensor latents) {}

    private final Weights weights;
    private final Config config;
    private final List<Module> encoder;
    private final ResidualVq quantizer;
    private final List<Module> decoder;

    public Dac(Config c, Weights w) {
        weights = w;
        config = c;
        encoder = encoder(c, w.at("encoder"));
        quantizer = new ResidualVq(
                new ResidualVq.Config(c.hidden, c.codebooks, c.codebookSize, c.codebookWidth),
                w.at("quantizer.quantizers"));
        decoder = decoder(c, w.at("decoder"));
    }

    public static Dac load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Dac(Config.of(json), w));
    }

    private static List<Module> encoder(Config c, Weights w) {
        List<Module> r = new ArrayList<>();
        int width = c.encoderWidth;
        r.add(new Conv1d(w.at("conv1"), 1, width, 7, 1, 3));
        for (int i = 0; i < c.ratios.length; i++) {
            Weights b = w.at("block").at(i);
            int stride = c.ratios[i];
            r.addAll(residuals(b, width));
            r.add(new Snake(b.at("snake1"), width));
            r.add(new Conv1d(b.at("conv1"), width, 2L * width, 2L * stride, stride, (stride + 1) / 2));
            width *= 2;
        }
        r.add(new Snake(w.at("snake1"), width));
        r.add(new Conv1d(w.at("conv2"), width, c.hidden, 3, 1, 1));
        return List.copyOf(r);
    }

    private static List<Module> decoder(Config c, Weights w) {
        List<Module> r = new ArrayList<>();
        int width = c.decoderWidth;
        r.add(new Conv1d(w.at("conv1"), c.hidden, width, 7, 1, 3));
        for (int i = 0; i < c.upRatios.length; i++) {
            Weights b = w.at("block").at(i);
            int stride = c.upRatios[i];
            r.add(new Snake(b.at("snake1"), width));
            r.add(new ConvTranspose1d(b.at("conv_t1"), width, width / 2, 2L * stride, stride, (stride + 1) / 2));
            width /= 2;
            r.addAll(residuals(b, width));
        }
        r.add(new Snake(w.at("snake1"), width));
        r.add(new Conv1d(w.at("conv2"), width, 1, 7, 1, 3));
        r.add(Tensor::tanh);
        return List.copyOf(r);
    }

    private static List<Module> residuals(Weights w, int width) {
        return List.of(
                new Residual(w.at("res_unit1"), width, 1),
                new Residual(w.at("res_unit2"), width, 3),
                new Residual(w.at("res_unit3"), width, 9));
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /** @param audio {@code [B, 1, L]} in -1..1 */
    public Codes encode(Tensor audio) {
        Check.shape(audio.shape(), "audio", -1, 1, -1);
        try (Scope s = Scope.open()) {
            ResidualVq.Codes c = quantizer.quantize(Steps.run(audio, encoder));
            return new Codes(s.keep(c.codes()), s.keep(c.values()), s.keep(c.latents()));
        }
    }

    /** The sound of codes, {@code [B, Q, F] -> [B, 1, L]}; rows of the last codebooks may be missing. */
    public Tensor decode(Tensor codes) {
        try (Scope s = Scope.open()) {
            return s.keep(Steps.run(quantizer.decode(codes), decoder));
        }
    }

    @Override
    public void close() {
        weights.close();
    }

    /** x + sin(alpha x)^2 / alpha, arXiv:2006.08195, with an alpha for each channel. */
    private static final class Snake implements Module {
        private final Tensor alpha;

        Snake(Weights w, int channels) {
            alpha = w.tensor("alpha", Init.ones(), 1, channels, 1);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                return s.keep(x.add(x.mul(alpha).sin().square().div(alpha.add(1e-9))));
            }
        }
    }

    /** The wide convolution does not lose length, so the sum needs no cutting. */
    private static final class Residual implements Module {
        private final List<Module> layers;

        Residual(Weights w, int width, int dilation) {
            layers = List.of(
                    new Snake(w.at("snake1"), width),
                    new Conv1d(w.at("conv1"), width, width, 7, 1, 3L * dilation, dilation, 1, true),
                    new Snake(w.at("snake2"), width),
                    new Conv1d(w.at("conv2"), width, width, 1, 1, 0));
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                return s.keep(x.add(Steps.run(x, layers)));
            }
        }
    }
}
