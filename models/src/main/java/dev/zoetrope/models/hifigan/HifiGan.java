package dev.zoetrope.models.hifigan;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv1d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * HiFi-GAN's generator, arXiv:2010.05646, names as in microsoft/speecht5_hifigan and the vocoder of cvssp/audioldm.
 *
 * <p>Axes: B sounds, F frames, M mel bands, N samples, N = F times all upsampling rates.
 */
public final class HifiGan implements AutoCloseable {
    private static final double LAST_SLOPE = 0.01; // not the configuration's

    /**
     * @param bands M
     * @param channels after the first convolution; each step up halves them
     * @param dilations of the convolutions of each kind of residual block
     * @param slope of the leaky ReLU
     * @param normalised whether bands are brought to the mean and deviation that are stored
     */
    public record Config(
            int bands,
            int samplingRate,
            int channels,
            List<Integer> upsampleRates,
            List<Integer> upsampleKernels,
            List<Integer> kernels,
            List<List<Integer>> dilations,
            double slope,
            boolean normalised) {
        public Config {
            upsampleRates = List.copyOf(upsampleRates);
            upsampleKernels = List.copyOf(upsampleKernels);
            kernels = List.copyOf(kernels);
            dilations = List.copyOf(dilations);
            Check.equal(
                    upsampleRates.size(),
                    upsampleKernels.size(),
                    "length of upsample_rates",
                    "length of upsample_kernel_sizes");
            Check.equal(
                    kernels.size(),
                    dilations.size(),
                    "length of resblock_kernel_sizes",
                    "length of resblock_dilation_sizes");
            Check.divides(1L << upsampleRates.size(), channels, "2^steps", "upsample_initial_channel");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("model_in_dim", 80),
                    j.get("sampling_rate", 16000),
                    j.get("upsample_initial_channel", 512),
                    list(j, "upsample_rates", 4, 4, 4, 4),
                    list(j, "upsample_kernel_sizes", 8, 8, 8, 8),
                    list(j, "resblock_kernel_sizes", 3, 7, 11),
                    dilations(j),
                    j.get("leaky_relu_slope", 0.1),
                    j.get("normalize_before", true));
        }

        private static List<Integer> list(Json j, String key, int... absent) {
            return Arrays.stream(j.get(key, absent)).boxed().toList();
        }

        private static List<List<Integer>> dilations(Json j) {
            if (!(j.value("resblock_dilation_sizes") instanceof List<?> all)) {
                return List.of(List.of(1, 3, 5), List.of(1, 3, 5), List.of(1, 3, 5));
            }
            List<List<Integer>> r = new ArrayList<>();
            for (Object one : all) {
                if (!(one instanceof List<?> numbers) || !numbers.stream().allMatch(Integer.class::isInstance)) {
                    throw j.unsupported("resblock_dilation_sizes", "a list of lists of whole numbers");
                }
                r.add(numbers.stream().map(Integer.class::cast).toList());
            }
            return r;
        }

        /** Samples of a frame. */
        public int hop() {
            return upsampleRates.stream().reduce(1, (a, b) -> a * b);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Conv1d convPre;
    private final List<Up> upsampler = new ArrayList<>();
    private final List<Residual> resblocks = new ArrayList<>();
    private final Conv1d convPost;
    private final Tensor mean;
    private final Tensor scale;

    public HifiGan(Config c, Weights w) {
        weights = w;
        config = c;
        convPre = new Conv1d(w.at("conv_pre"), c.bands, c.channels, 7, 1, 3);
        for (int i = 0; i < c.upsampleRates.size(); i++) {
            int out = c.channels >> (i + 1);
            upsampler.add(
                    new Up(w.at("upsampler").at(i), 2 * out, out, c.upsampleKernels.get(i), c.upsampleRates.get(i)));
            for (int k = 0; k < c.kernels.size(); k++) {
                Weights at = w.at("resblocks").at(resblocks.size());
                resblocks.add(new Residual(at, out, c.kernels.get(k), c.dilations.get(k), c.slope));
            }
        }
        convPost = new Conv1d(w.at("conv_post"), c.channels >> c.upsampleRates.size(), 1, 7, 1, 3);
        mean = w.buffer("mean", Init.zeros(), c.bands);
        scale = w.buffer("scale", Init.ones(), c.bands);
    }

    public static HifiGan load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new HifiGan(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    /** Logarithms of bands, {@code [B, F, M]}, to samples of -1..1, {@code [B, N]}. */
    public Tensor forward(Tensor mel) {
        Check.shape(mel.shape(), "mel", -1, -1, config.bands);
        int kinds = config.kernels.size();
        try (Scope s = Scope.open()) {
            Tensor bands = config.normalised ? mel.sub(mean).div(scale) : mel;
            Tensor x = convPre.forward(bands.transpose(1, 2)); // [B, C, F]
            for (int i = 0; i < upsampler.size(); i++) {
                Tensor y = upsampler.get(i).forward(x.leakyRelu(config.slope));
                Tensor sum = resblocks.get(i * kinds).forward(y);
                for (int k = 1; k < kinds; k++) {
                    sum = sum.add(resblocks.get(i * kinds + k).forward(y));
                }
                x = s.replace(x, sum.div((double) kinds));
            }
            return s.keep(convPost.forward(x.leakyRelu(LAST_SLOPE)).tanh().squeeze(1));
        }
    }

    private static final class Up implements Module {
        private final Tensor weight;
        private final Tensor bias;
        private final int kernel;
        private final int rate;

        Up(Weights w, int in, int out, int kernel, int rate) {
            weight = w.tensor("weight", Init.normal(0.01), in, out, kernel);
            bias = w.tensor("bias", Init.zeros(), out);
            this.kernel = kernel;
            this.rate = rate;
        }

        @Override
        public Tensor forward(Tensor x) {
            return Functional.convTranspose1d(x, weight, bias, rate, (kernel - rate) / 2, 0, 1, 1);
        }
    }

    private static final class Residual implements Module {
        private final List<Conv1d> convs1 = new ArrayList<>();
        private final List<Conv1d> convs2 = new ArrayList<>();
        private final double slope;

        Residual(Weights w, int channels, int kernel, List<Integer> dilations, double slope) {
            this.slope = slope;
            for (int i = 0; i < dilations.size(); i++) {
                convs1.add(conv(w.at("convs1").at(i), channels, kernel, dilations.get(i)));
                convs2.add(conv(w.at("convs2").at(i), channels, kernel, 1));
            }
        }

        private static Conv1d conv(Weights w, int channels, int kernel, int dilation) {
            return new Conv1d(w, channels, channels, kernel, 1, (kernel - 1) * dilation / 2, dilation, 1, true);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                Tensor y = x;
                for (int i = 0; i < convs1.size(); i++) {
                    Tensor h = convs1.get(i).forward(y.leakyRelu(slope)).leakyRelu(slope);
                    y = y.add(convs2.get(i).forward(h));
                }
                return s.keep(y);
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
