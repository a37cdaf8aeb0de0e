package dev.zoetrope.models.encodec;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.quantize.Codebook;
import dev.zoetrope.nn.Lstm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Steps;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * EnCodec, arXiv:2210.13438: sound as a few rows of codes, each of which says what those before left. Names as in
 * facebook/encodec_24khz and facebook/encodec_48khz.
 *
 * <p>Axes: B sounds, A channels of sound, L samples, N pieces, F frames of a piece, D hidden, Q codebooks in use.
 */
public final class EnCodec implements AutoCloseable {
    /**
     * @param bandwidths in kbit/s, the last the largest, which has all codebooks
     * @param rate samples a second
     * @param audioChannels A
     * @param normalises whether each piece is brought to one loudness first
     * @param pieceSeconds length of a piece; null for sound in one
     * @param overlap of pieces, as a share of their length
     * @param hidden D
     * @param ratios by which the decoder lengthens, the encoder shortens in the other order
     * @param weightNorm whether weights have a length of their own; else what convolutions make is normalised over time
     * @param causal whether no sample depends on later ones
     * @param reflects whether the sound is reflected at its ends; else there are zeros
     * @param convShortcut whether the way around a residual block has a convolution
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Config(
            double[] bandwidths,
            int rate,
            int audioChannels,
            boolean normalises,
            @Nullable Double pieceSeconds,
            double overlap,
            int hidden,
            int filters,
            int residualLayers,
            int[] ratios,
            boolean weightNorm,
            int kernel,
            int lastKernel,
            int residualKernel,
            int dilationGrowth,
            boolean causal,
            boolean reflects,
            int compress,
            int lstmLayers,
            double trimRight,
            int codebookSize,
            boolean convShortcut) {
        public Config {
            Check.positive(rate, "sampling_rate");
            Check.between(1, 2, audioChannels, "audio_channels");
            Check.positive(hidden, "hidden_size");
            Check.positive(filters, "num_filters");
            Check.positive(ratios.length, "number of upsampling_ratios");
            Check.positive(bandwidths.length, "number of target_bandwidths");
            Check.divides(compress, filters, "compress", "num_filters");
            if (codebookSize < 2 || Integer.bitCount(codebookSize) != 1) {
                throw new UserError("codebook_size " + codebookSize + " is no power of two");
            }
            if (!causal && trimRight != 1) {
                throw new UserError(
                        "trim_right_ratio " + trimRight + " needs use_causal_conv true; without it must be 1");
            }
        }

        public static Config of(Json j) {
            int hidden = j.get("hidden_size", 128);
            Check.equal(j.get("codebook_dim", hidden), hidden, "codebook_dim", "hidden_size");
            boolean weightNorm =
                    switch (j.get("norm_type", "weight_norm")) {
                        case "weight_norm" -> true;
                        case "time_group_norm" -> false;
                        default -> throw j.unsupported("norm_type", "weight_norm, time_group_norm");
                    };
            boolean reflects =
                    switch (j.get("pad_mode", "reflect")) {
                        case "reflect" -> true;
                        case "constant" -> false;
                        default -> throw j.unsupported("pad_mode", "reflect, constant");
                    };
            return new Config(
                    j.get("target_bandwidths", new double[] {1.5, 3, 6, 12, 24}),
                    j.get("sampling_rate", 24000),
                    j.get("audio_channels", 1),
                    j.get("normalize", false),
                    j.has("chunk_length_s") ? (Double) j.get("chunk_length_s", 1.0) : null,
                    j.get("overlap", 0.0),
                    hidden,
                    j.get("num_filters", 32),
                    j.get("num_residual_layers", 1),
                    j.get("upsampling_ratios", new int[] {8, 5, 4, 2}),
                    weightNorm,
                    j.get("kernel_size", 7),
                    j.get("last_kernel_size", 7),
                    j.get("residual_kernel_size", 3),
                    j.get("dilation_growth_rate", 2),
                    j.get("use_causal_conv", true),
                    reflects,
                    j.get("compress", 2),
                    j.get("num_lstm_layers", 2),
                    j.get("trim_right_ratio", 1.0),
                    j.get("codebook_size", 1024),
                    j.get("use_conv_shortcut", true));
        }

        /** Samples of a frame. */
        public int hop() {
            return Arrays.stream(ratios).reduce(1, Math::multiplyExact);
        }

        /** Frames a second, rounded up. */
        public int frameRate() {
            return (rate + hop() - 1) / hop();
        }

        /** Samples of a piece of a sound of that length. */
        int piece(long length) {
            return pieceSeconds == null ? (int) length : (int) (pieceSeconds * rate);
        }

        /** Samples from the start of a piece to that of the next. */
        int step(long length) {
            return pieceSeconds == null ? (int) length : Math.max(1, (int) ((1 - overlap) * piece(length)));
        }

        /** How many there are. */
        public int codebooks() {
            return (int) (1000 * bandwidths[bandwidths.length - 1] / (frameRate() * bits()));
        }

        private int bits() {
            return Integer.numberOfTrailingZeros(codebookSize);
        }

        /** How many of them a bandwidth in kbit/s allows. */
        public int codebooks(double bandwidth) {
            for (double b : bandwidths) {
                if (b == bandwidth) {
                    return Math.max(1, (int) Math.floor(bandwidth * 1000 / (bits() * frameRate())));
                }
            }
            throw new UserError("bandwidth " + bandwidth + " kbit/s is none of those that the model was trained for, "
                    + Arrays.toString(bandwidths));
        }
    }

    /**
     * A sound as codes.
     *
     * @param codes {@code [N, B, Q, F]} INT64
     * @param scales {@code [N, B, 1]}, by which the pieces were divided; null where they are taken as they are
     * @param missing how many frames the last piece lacks; in their place there are zeros
     */
    public record Codes(Tensor codes, @Nullable Tensor scales, int missing) {}

    private static final double LEAST_LOUDNESS = 1e-8;

    private final Weights weights;
    private final Config config;
    private final List<Module> encoder;
    private final List<Module> decoder;
    private final List<Tensor> codebooks;

    public EnCodec(Config c, Weights w) {
        weights = w;
        config = c;
        encoder = encoder(c, w.at("encoder.layers"));
        decoder = decoder(c, w.at("decoder.layers"));
        codebooks = w.at("quantizer.layers")
                .stack(c.codebooks(), q -> q.buffer("codebook.embed", Init.normal(1), c.codebookSize, c.hidden));
        w.ignorable("quantizer\\.layers\\.\\d+\\.codebook\\.(inited|cluster_size|embed_avg)"); // of training
    }

    public static EnCodec load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new EnCodec(Config.of(json), w));
    }

    private static List<Module> encoder(Config c, Weights w) {
        List<Module> r = new ArrayList<>();
        int width = c.filters;
        r.add(CodecConv.plain(c, w.at(0), c.audioChannels, width, c.kernel, 1, 1));
        for (int i = c.ratios.length - 1; i >= 0; i--) {
            for (int j = 0; j < c.residualLayers; j++) {
                r.add(new Residual(c, w.at(r.size()), width, j));
            }
            r.add(Tensor::elu);
            r.add(CodecConv.plain(c, w.at(r.size()), width, 2 * width, 2 * c.ratios[i], c.ratios[i], 1));
            width *= 2;
        }
        r.add(new Memory(c, w.at(r.size()), width));
        r.add(Tensor::elu);
        r.add(CodecConv.plain(c, w.at(r.size()), width, c.hidden, c.lastKernel, 1, 1));
        return List.copyOf(r);
    }

    private static List<Module> decoder(Config c, Weights w) {
        List<Module> r = new ArrayList<>();
        int width = c.filters << c.ratios.length;
        r.add(CodecConv.plain(c, w.at(0), c.hidden, width, c.kernel, 1, 1));
        r.add(new Memory(c, w.at(1), width));
        for (int ratio : c.ratios) {
            r.add(Tensor::elu);
            r.add(CodecConv.transposed(c, w.at(r.size()), width, width / 2, ratio));
            width /= 2;
            for (int j = 0; j < c.residualLayers; j++) {
                r.add(new Residual(c, w.at(r.size()), width, j));
            }
        }
        r.add(Tensor::elu);
        r.add(CodecConv.plain(c, w.at(r.size()), width, c.audioChannels, c.lastKernel, 1, 1));
        return List.copyOf(r);
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /** What is quantised, {@code [B, A, L] -> [B, D, F]}. */
    public Tensor embeddings(Tensor audio) {
        try (Scope s = Scope.open()) {
            return s.keep(Steps.run(audio, encoder));
        }
    }

    /** As {@link #encode(Tensor, Tensor, double)}, all of it sound. */
    public Codes encode(Tensor audio, double bandwidth) {
        return encode(audio, null, bandwidth);
    }

    /**
     * @param audio {@code [B, A, L]} in -1..1
     * @param mask {@code [B, L]}, not 0 where there is sound; null where all is
     * @param bandwidth in kbit/s, one of the model's
     */
    public Codes encode(Tensor audio, @Nullable Tensor mask, double bandwidth) {
        Check.shape(audio.shape(), "audio", -1, config.audioChannels, -1);
        Check.positive(audio.size(2), "number of samples");
        int count = config.codebooks(bandwidth);
        long length = audio.size(2);
        int step = config.step(length);
        int piece = config.piece(length);
        try (Scope s = Scope.open()) {
            Tensor sound = mask == null
                    ? audio
                    : audio.mul(mask.ne(0L).to(audio.dtype()).unsqueeze(1));
            List<Tensor> codes = new ArrayList<>();
            List<Tensor> scales = new ArrayList<>();
            for (long from = 0; from < length; from += step) {
                try (Scope one = Scope.open()) {
                    Tensor x = sound.narrow(2, from, Math.min(piece, length - from));
                    if (config.normalises) {
                        Tensor loudness =
                                x.mean(true, 1).square().mean(true, 2).sqrt().add(LEAST_LOUDNESS); // [B, 1, 1]
                        x = x.div(loudness);
                        scales.add(one.keep(loudness.squeeze(2)));
                    }
                    codes.add(one.keep(quantized(embeddings(x), count)));
                }
            }
            int missing =
                    (int) (codes.get(0).size(2) - codes.get(codes.size() - 1).size(2));
            if (missing > 0) {
                Tensor last = codes.remove(codes.size() - 1);
                codes.add(Functional.pad(last, 0., 0, missing));
            }
            return new Codes(
                    s.keep(Tensor.stack(0, codes)),
                    scales.isEmpty() ? null : s.keep(Tensor.stack(0, scales)),
                    Math.max(0, missing));
        }
    }

    private Tensor quantized(Tensor embeddings, int count) { // [B, D, F] -> [B, Q, F]
        Tensor residual = embeddings.transpose(1, 2); // [B, F, D]
        List<Tensor> r = new ArrayList<>();
        for (Tensor codebook : codebooks.subList(0, count)) {
            Tensor code = Codebook.nearest(residual, codebook);
            residual = residual.sub(Functional.embedding(code, codebook));
            r.add(code);
        }
        return Tensor.stack(1, r);
    }

    /** The sound of codes, {@code [B, A, L]}; it may be up to a frame longer than what was encoded. */
    public Tensor decode(Codes c) {
        Check.shape(c.codes.shape(), "codes", -1, -1, -1, -1);
        Check.atMost(codebooks.size(), c.codes.size(2), "the number of codebooks", "the number of rows of codes");
        int pieces = (int) c.codes.size(0);
        if (config.pieceSeconds == null && pieces != 1) {
            throw new UserError(pieces + " pieces of codes, but this model takes a sound in one");
        }
        try (Scope s = Scope.open()) {
            List<Tensor> sounds = new ArrayList<>();
            for (int i = 0; i < pieces; i++) {
                try (Scope one = Scope.open()) {
                    Tensor codes = c.codes.select(0, i); // [B, Q, F]
                    if (i == pieces - 1) {
                        codes = codes.narrow(2, 0, codes.size(2) - c.missing);
                    }
                    Tensor x = Steps.run(summed(codes), decoder);
                    sounds.add(one.keep(
                            c.scales == null ? x : x.mul(c.scales.select(0, i).unsqueeze(-1))));
                }
            }
            return s.keep(config.pieceSeconds == null ? sounds.get(0) : joined(sounds));
        }
    }

    private Tensor summed(Tensor codes) { // [B, Q, F] -> [B, D, F]
        Tensor sum = Functional.embedding(codes.select(1, 0), codebooks.get(0));
        for (int i = 1; i < codes.size(1); i++) {
            sum = sum.add(Functional.embedding(codes.select(1, i), codebooks.get(i)));
        }
        return sum.transpose(1, 2);
    }

    /** Overlapping pieces fade into each other, weighted by a triangle over each. */
    private Tensor joined(List<Tensor> pieces) { // [B, A, L']
        long longest = pieces.get(0).size(2);
        long step = config.step(longest);
        long length = step * (pieces.size() - 1) + pieces.get(pieces.size() - 1).size(2);
        Tensor triangle = Tensor.linspace(0, 1, longest + 2)
                .narrow(0, 1, longest)
                .sub(0.5)
                .abs()
                .rsub(0.5)
                .to(pieces.get(0).device());
        Tensor sum = Tensor.zeros();
        Tensor share = Tensor.zeros();
        for (int i = 0; i < pieces.size(); i++) {
            Tensor piece = pieces.get(i);
            long n = piece.size(2);
            long from = i * step;
            Tensor weight = triangle.narrow(0, 0, n);
            sum = Functional.pad(piece.mul(weight), 0., from, length - from - n).add(sum);
            share = Functional.pad(weight, 0., from, length - from - n).add(share);
        }
        return sum.div(share);
    }

    @Override
    public void close() {
        weights.close();
    }

    /** Two convolutions, and the sound itself around them. */
    private static final class Residual implements Module {
        private final CodecConv in;
        private final CodecConv out;
        private final @Nullable CodecConv shortcut;

        Residual(Config c, Weights w, int width, int number) {
            int dilation = (int) Math.pow(c.dilationGrowth, number);
            int inner = width / c.compress;
            in = CodecConv.plain(c, w.at("block.1"), width, inner, c.residualKernel, 1, dilation);
            out = CodecConv.plain(c, w.at("block.3"), inner, width, 1, 1, 1);
            shortcut = c.convShortcut ? CodecConv.plain(c, w.at("shortcut"), width, width, 1, 1, 1) : null;
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                Tensor y = Steps.run(x, Tensor::elu, in, Tensor::elu, out);
                return s.keep((shortcut == null ? x : shortcut.forward(x)).add(y));
            }
        }
    }

    /** What came before, with the sound itself around it. */
    private static final class Memory implements Module {
        private final Lstm lstm;

        Memory(Config c, Weights w, int width) {
            lstm = new Lstm(w.at("lstm"), width, c.lstmLayers);
        }

        @Override
        public Tensor forward(Tensor x) { // [B, D, F]
            try (Scope s = Scope.open()) {
                Tensor frames = x.permute(2, 0, 1); // [F, B, D]
                return s.keep(lstm.forward(frames).add(frames).permute(1, 2, 0));
            }
        }
    }
}
