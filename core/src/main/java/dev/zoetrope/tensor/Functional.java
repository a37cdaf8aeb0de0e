package dev.zoetrope.tensor;

import java.util.List;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** The operators that layers are made of: products with weights, convolutions, norms, attention, resampling, losses. */
public final class Functional {
    private Functional() {}

    // ---- products with weights ----

    /** One operator of libtorch: what it makes of an input, a weight and a bias of one type. */
    private interface Product {
        org.bytedeco.pytorch.Tensor of(
                org.bytedeco.pytorch.Tensor x, org.bytedeco.pytorch.Tensor weight, TensorOptional bias);
    }

    /**
     * The product of an input with a weight. A weight of half the input's width, as {@code Fast} loads it, draws the input to
     * its own type for the product alone: what goes on between products keeps its precision.
     */
    private static Tensor product(String operator, Tensor x, Tensor weight, @Nullable Tensor bias, Product operation) {
        if (isHalf(weight) && (x.dtype() == DType.FLOAT32 || bias != null && bias.dtype() == DType.FLOAT32)) {
            try (Scope s = Scope.open()) {
                DType half = weight.dtype();
                Tensor b = bias == null ? null : bias.to(half);
                return s.keep(
                        product(operator, x.to(half), weight, b, operation).to(x.dtype()));
            }
        }
        try (TensorOptional b = Tensor.optional(bias)) {
            return Tensor.make(operator, () -> operation.of(x.engine(), weight.engine(), b), with(bias, x, weight));
        }
    }

    /** {@code x [..., in]}, {@code weight [out, in]}, {@code bias [out]} -> {@code [..., out]}. */
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        if (prefersColumns(x, weight)) {
            return linearOfColumns(x, weight, bias);
        }
        return prefersConvolution(x, weight)
                ? linearAsConvolution(x, weight, bias)
                : product("linear", x, weight, bias, torch::linear);
    }

    /**
     * Few rows as columns: without MKL the product of the weight with a vector takes a tenth of the time of the product of
     * a row with the weight, and with a few columns half.
     */
    private static boolean prefersColumns(Tensor x, Tensor weight) {
        org.bytedeco.pytorch.Tensor w = weight.engine();
        return !Engine.usesMkl()
                && w.dim() == 2
                && w.size(0) * w.size(1) >= 1 << 16
                && x.engine().numel() > 0
                && x.engine().numel() < 64 * w.size(1)
                && x.size(-1) == w.size(1)
                && w.scalar_type() == torch.ScalarType.Float
                && x.engine().scalar_type() == torch.ScalarType.Float
                && !w.is_cuda();
    }

    private static Tensor linearOfColumns(Tensor x, Tensor weight, @Nullable Tensor bias) {
        long in = weight.size(1);
        long[] shape = x.shape();
        shape[shape.length - 1] = weight.size(0);
        try (Scope s = Scope.open()) {
            boolean single = x.numel() == in;
            Tensor y = single
                    ? weight.matmul(x.reshape(in)) // [out]
                    : weight.matmul(x.reshape(-1, in).transpose(0, 1)).transpose(0, 1); // [rows, out]
            y = bias == null ? y : y.add(bias);
            return s.keep(y.reshape(shape).contiguous());
        }
    }

    /**
     * Without MKL a matrix product runs on one thread of OpenBLAS (see {@link Engine}), while the same product as a 1x1
     * convolution runs in oneDNN on all of libtorch's threads. Only many rows repay the detour.
     */
    static boolean prefersConvolution(Tensor x, Tensor weight) {
        org.bytedeco.pytorch.Tensor w = weight.engine();
        return !Engine.usesMkl()
                && w.dim() == 2
                && x.engine().numel() >= 64 * w.size(1)
                && w.size(0) >= 16
                && w.size(1) >= 16
                && w.scalar_type().intern() == torch.ScalarType.Float
                && x.engine().scalar_type().intern() == torch.ScalarType.Float
                && !w.is_cuda()
                && Engine.threads() > 1;
    }

    static Tensor linearAsConvolution(Tensor x, Tensor weight, @Nullable Tensor bias) {
        long in = weight.size(1);
        long out = weight.size(0);
        if (x.size(-1) != in) {
            throw new TensorException(
                    "linear(" + x.describe() + ", " + weight.describe() + "): the last axis of the first must be " + in,
                    new IllegalArgumentException());
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = out;
        try (Scope s = Scope.open()) {
            Tensor image = x.reshape(1, -1, 1, in).permute(0, 3, 1, 2); // [1, in, rows, 1]
            Tensor kernel = weight.reshape(out, 1, 1, in).permute(0, 3, 1, 2); // [out, in, 1, 1]
            Tensor y = conv2d(image, kernel, bias, 1, 0, 1, 1); // [1, out, rows, 1]
            return s.keep(y.permute(0, 2, 3, 1).reshape(shape));
        }
    }

    /** Rows of a table. {@code index [...]} INT64, {@code table [V, D]} -> {@code [..., D]}. */
    public static Tensor embedding(Tensor index, Tensor table) {
        return Tensor.make("embedding", () -> torch.embedding(table.engine(), index.engine()), table, index);
    }

    // ---- convolutions: one number for stride, padding and dilation stands for all axes ----

    /** {@code x [B, C, L]}, {@code weight [O, C / groups, K]} -> {@code [B, O, L']}. */
    public static Tensor conv1d(
            Tensor x, Tensor weight, @Nullable Tensor bias, long stride, long padding, long dilation, long groups) {
        return product(
                "conv1d",
                x,
                weight,
                bias,
                (i, w, b) -> torch.conv1d(i, w, b, one(stride), one(padding), one(dilation), groups));
    }

    /** {@code x [B, C, H, W]}, {@code weight [O, C / groups, KH, KW]} -> {@code [B, O, H', W']}. */
    public static Tensor conv2d(
            Tensor x, Tensor weight, @Nullable Tensor bias, long stride, long padding, long dilation, long groups) {
        return conv2d(x, weight, bias, pair(stride), pair(padding), pair(dilation), groups);
    }

    public static Tensor conv2d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return product(
                "conv2d", x, weight, bias, (i, w, b) -> torch.conv2d(i, w, b, stride, padding, dilation, groups));
    }

    /** {@code x [B, C, T, H, W]}, {@code weight [O, C / groups, KT, KH, KW]} -> {@code [B, O, T', H', W']}. */
    public static Tensor conv3d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long[] stride,
            long[] padding,
            long[] dilation,
            long groups) {
        return product(
                "conv3d", x, weight, bias, (i, w, b) -> torch.conv3d(i, w, b, stride, padding, dilation, groups));
    }

    /** {@code x [B, C, L]}, {@code weight [C, O / groups, K]} -> {@code [B, O, L']}. */
    public static Tensor convTranspose1d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long stride,
            long padding,
            long outputPadding,
            long groups,
            long dilation) {
        return product(
                "conv_transpose1d",
                x,
                weight,
                bias,
                (i, w, b) -> torch.conv_transpose1d(
                        i, w, b, one(stride), one(padding), one(outputPadding), groups, one(dilation)));
    }

    /** {@code x [B, C, H, W]}, {@code weight [C, O / groups, KH, KW]} -> {@code [B, O, H', W']}. */
    public static Tensor convTranspose2d(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            long stride,
            long padding,
            long outputPadding,
            long groups) {
        return product(
                "conv_transpose2d",
                x,
                weight,
                bias,
                (i, w, b) -> torch.conv_transpose2d(
                        i, w, b, pair(stride), pair(padding), pair(outputPadding), groups, 1, 1));
    }

    // ---- recurrence ----

    /**
     * Long short-term memory from zero states. {@code x [L, B, D]} -> {@code [L, B, D]}.
     *
     * @param weights of each layer in turn: input to gates {@code [4 D, D]}, state to gates {@code [4 D, D]}, their two
     *     biases {@code [4 D]}; gates in the order input, forget, cell, output
     */
    public static Tensor lstm(Tensor x, List<Tensor> weights) {
        long layers = weights.size() / 4;
        try (Scope s = Scope.open()) {
            Tensor zero = Tensor.zeros(x.dtype(), x.device(), layers, x.size(1), x.size(2));
            try (TensorVector state = Tensor.vector(List.of(zero, zero));
                    TensorVector all = Tensor.vector(weights);
                    T_TensorTensorTensor_T r = Tensor.native_(
                            "lstm",
                            () -> torch.lstm(x.engine(), state, all, true, layers, 0., false, false, false),
                            x)) {
                return s.keep(Tensor.copyOf("lstm", r.get0()));
            }
        }
    }

    // ---- norms ----

    /** Normalises over the last {@code weight.dim()} axes. */
    public static Tensor layerNorm(Tensor x, @Nullable Tensor weight, @Nullable Tensor bias, long[] shape, double eps) {
        try (TensorOptional w = Tensor.optional(weight);
                TensorOptional b = Tensor.optional(bias)) {
            return Tensor.make("layer_norm", () -> torch.layer_norm(x.engine(), shape, w, b, eps, true), x);
        }
    }

    /** x / rms(x) * weight over the last axis. */
    public static Tensor rmsNorm(Tensor x, @Nullable Tensor weight, double eps) {
        try (TensorOptional w = Tensor.optional(weight);
                DoubleOptional e = new DoubleOptional(eps)) {
            long[] shape = {x.size(-1)};
            return Tensor.make("rms_norm", () -> torch.rms_norm(x.engine(), shape, w, e), x);
        }
    }

    /** Normalises each group of channels. {@code x [B, C, ...]}. */
    public static Tensor groupNorm(Tensor x, long groups, @Nullable Tensor weight, @Nullable Tensor bias, double eps) {
        try (TensorOptional w = Tensor.optional(weight);
                TensorOptional b = Tensor.optional(bias)) {
            return Tensor.make("group_norm", () -> torch.group_norm(x.engine(), groups, w, b, eps, true), x);
        }
    }

    /**
     * Batch normalisation. In training the batch's own statistics are used and the running ones (if given) move by
     * {@code momentum}; in evaluation the running ones are used. {@code x [B, C, ...]}.
     */
    public static Tensor batchNorm(
            Tensor x,
            @Nullable Tensor weight,
            @Nullable Tensor bias,
            @Nullable Tensor runningMean,
            @Nullable Tensor runningVar,
            boolean training,
            double momentum,
            double eps) {
        try (TensorOptional w = Tensor.optional(weight);
                TensorOptional b = Tensor.optional(bias);
                TensorOptional m = Tensor.optional(runningMean);
                TensorOptional v = Tensor.optional(runningVar)) {
            return Tensor.make(
                    "batch_norm", () -> torch.batch_norm(x.engine(), w, b, m, v, training, momentum, eps, false), x);
        }
    }

    // ---- attention ----

    /**
     * Scaled dot-product attention. {@code q [B, heads, Q, D]}, {@code k, v [B, heads, K, D]} -> {@code [B, heads, Q, D]}.
     *
     * @param mask added to the scores (floating) or true where attention is allowed (BOOL); broadcast to {@code [B,
     *     heads, Q, K]}; null for none
     * @param causal whether position i sees only positions up to i; not together with a mask
     * @param scale factor on the scores; null for 1 / sqrt(D)
     */
    public static Tensor attention(
            Tensor q, Tensor k, Tensor v, @Nullable Tensor mask, boolean causal, @Nullable Double scale) {
        boolean half = isHalf(q) || isHalf(k) || isHalf(v); // under autocast only some of them may be
        if (half && !q.engine().is_cuda()) {
            // The build's half-precision attention on CPU is a naive loop, 20 times slower than float32.
            try (Scope s = Scope.open();
                    Autocast full = Autocast.off()) {
                Tensor m = mask == null || mask.dtype() == DType.BOOL ? mask : mask.to(DType.FLOAT32);
                return s.keep(attention(q.to(DType.FLOAT32), k.to(DType.FLOAT32), v.to(DType.FLOAT32), m, causal, scale)
                        .to(q.dtype()));
            }
        }
        try (Autocast full = Autocast.off();
                TensorOptional m = Tensor.optional(mask);
                DoubleOptional s = Tensor.optional(scale)) {
            return Tensor.make(
                    "attention",
                    () -> torch.scaled_dot_product_attention(
                            q.engine(), k.engine(), v.engine(), m, 0, causal, s, false),
                    with(mask, q, k, v));
        }
    }

    private static boolean isHalf(Tensor t) {
        DType d = t.dtype();
        return d == DType.BFLOAT16 || d == DType.FLOAT16;
    }

    // ---- resampling and padding ----

    /** How values between samples are found. */
    public enum Interpolation {
        NEAREST,
        NEAREST_EXACT,
        BILINEAR,
        BICUBIC
    }

    /** {@code x [B, C, H, W]} -> {@code [B, C, height, width]}; antialias only with BILINEAR and BICUBIC. */
    public static Tensor interpolate(
            Tensor x, long height, long width, Interpolation mode, boolean alignCorners, boolean antialias) {
        long[] size = {height, width};
        if (antialias || mode == Interpolation.NEAREST_EXACT) {
            String operator =
                    switch (mode) {
                        case BILINEAR -> "_upsample_bilinear2d_aa";
                        case BICUBIC -> "_upsample_bicubic2d_aa";
                        case NEAREST_EXACT -> "_upsample_nearest_exact2d";
                        case NEAREST -> throw new IllegalArgumentException("nearest has no antialias");
                    };
            return mode == Interpolation.NEAREST_EXACT
                    ? Boxed.call(operator, "", x, size, null, null)
                    : Boxed.call(operator, "", x, size, alignCorners, null, null);
        }
        return Tensor.make(
                "interpolate",
                () -> switch (mode) {
                    case BILINEAR -> torch.upsample_bilinear2d(x.engine(), size, alignCorners);
                    case BICUBIC -> torch.upsample_bicubic2d(x.engine(), size, alignCorners);
                    default -> torch.upsample_nearest2d(x.engine(), size);
                },
                x);
    }

    /** Nearest-neighbour resampling of {@code [B, C, T, H, W]}. */
    public static Tensor nearest3d(Tensor x, long frames, long height, long width) {
        return Tensor.make("nearest3d", () -> torch.upsample_nearest3d(x.engine(), frames, height, width), x);
    }

    /** Trilinear resampling of {@code [B, C, T, H, W]}. */
    public static Tensor trilinear3d(Tensor x, long frames, long height, long width, boolean alignCorners) {
        return Tensor.make(
                "trilinear3d",
                () -> torch.upsample_trilinear3d(x.engine(), new long[] {frames, height, width}, alignCorners),
                x);
    }

    /** Linear or nearest resampling of {@code [B, C, L]}. */
    public static Tensor interpolate1d(Tensor x, long length, boolean linear, boolean alignCorners) {
        return Tensor.make(
                "interpolate1d",
                () -> linear
                        ? torch.upsample_linear1d(x.engine(), new long[] {length}, alignCorners)
                        : torch.upsample_nearest1d(x.engine(), length),
                x);
    }

    /** What stands beyond the edge. */
    public enum Padding {
        REFLECT,
        REPLICATE,
        CIRCULAR
    }

    /** Pads with a constant; amounts come in pairs (before, after) from the last axis backwards. */
    public static Tensor pad(Tensor x, double value, long... amounts) {
        try (DoubleOptional v = new DoubleOptional(value)) {
            return Tensor.make("pad", () -> torch.pad(x.engine(), amounts, "constant", v), x);
        }
    }

    public static Tensor pad(Tensor x, Padding mode, long... amounts) {
        String name =
                switch (mode) {
                    case REFLECT -> "reflect";
                    case REPLICATE -> "replicate";
                    case CIRCULAR -> "circular";
                };
        try (DoubleOptional none = new DoubleOptional()) {
            return Tensor.make("pad", () -> torch.pad(x.engine(), amounts, name, none), x);
        }
    }

    /** {@code [B, C r^2, H, W]} -> {@code [B, C, H r, W r]}. */
    public static Tensor pixelShuffle(Tensor x, long r) {
        return Tensor.make("pixel_shuffle", () -> torch.pixel_shuffle(x.engine(), r), x);
    }

    /** {@code [B, C, H r, W r]} -> {@code [B, C r^2, H, W]}. */
    public static Tensor pixelUnshuffle(Tensor x, long r) {
        return Tensor.make("pixel_unshuffle", () -> torch.pixel_unshuffle(x.engine(), r), x);
    }

    /** Patches as columns. {@code [B, C, H, W]} -> {@code [B, C k^2, patches]}. */
    public static Tensor unfold(Tensor x, long kernel, long padding, long stride) {
        return Tensor.make(
                "unfold", () -> torch.im2col(x.engine(), pair(kernel), pair(1), pair(padding), stride, stride), x);
    }

    public static Tensor maxPool2d(Tensor x, long kernel, long stride, long padding) {
        return Tensor.make(
                "max_pool2d",
                () -> torch.max_pool2d(x.engine(), pair(kernel), pair(stride), pair(padding), pair(1), false),
                x);
    }

    public static Tensor avgPool2d(Tensor x, long kernel, long stride, long padding) {
        try (LongOptional none = new LongOptional()) {
            return Tensor.make(
                    "avg_pool2d",
                    () -> torch.avg_pool2d(x.engine(), pair(kernel), pair(stride), pair(padding), false, true, none),
                    x);
        }
    }

    public static Tensor adaptiveAvgPool2d(Tensor x, long height, long width) {
        return Tensor.make("adaptive_avg_pool2d", () -> torch.adaptive_avg_pool2d(x.engine(), height, width), x);
    }

    /**
     * Samples {@code x [B, C, H, W]} at {@code grid [B, H', W', 2]} (x, y in -1..1), bilinear.
     *
     * @param border whether points outside take the edge's value instead of zero
     */
    public static Tensor gridSample(Tensor x, Tensor grid, boolean border, boolean alignCorners) {
        return Tensor.make(
                "grid_sample",
                () -> torch.grid_sampler_2d(x.engine(), grid.engine(), 0, border ? 1 : 0, alignCorners),
                x,
                grid);
    }

    // ---- linear algebra ----

    /** Eigenvalues and eigenvectors of a symmetric matrix {@code [N, N]}. */
    public static Eigen eigh(Tensor symmetric) {
        try (org.bytedeco.pytorch.T_TensorTensor_T r =
                Tensor.native_("eigh", () -> torch.linalg_eigh(symmetric.engine()), symmetric)) {
            return new Eigen(Tensor.copyOf("eigh", r.get0()), Tensor.copyOf("eigh", r.get1()));
        }
    }

    /** Eigenvalues {@code [N]}, smallest first, and eigenvectors as columns {@code [N, N]}. */
    public record Eigen(Tensor values, Tensor vectors) {}

    // ---- noise in training ----

    /** Zeroes elements with probability p and scales the rest by 1 / (1 - p); from the engine's global generator. */
    public static Tensor dropout(Tensor x, double p) {
        return p == 0 ? x : Tensor.make("dropout", () -> torch.dropout(x.engine(), p, true), x);
    }

    // ---- losses: means over all elements ----

    public static Tensor mseLoss(Tensor x, Tensor target) {
        return Tensor.make("mse_loss", () -> torch.mse_loss(x.engine(), target.engine()), x, target);
    }

    public static Tensor l1Loss(Tensor x, Tensor target) {
        return Tensor.make("l1_loss", () -> torch.l1_loss(x.engine(), target.engine()), x, target);
    }

    /** |d| beyond beta, d^2 / (2 beta) + beta / 2 within. */
    public static Tensor smoothL1Loss(Tensor x, Tensor target, double beta) {
        return Tensor.make(
                "smooth_l1_loss", () -> torch.smooth_l1_loss(x.engine(), target.engine(), 1, beta), x, target);
    }

    /** {@code logits [N, C]}, {@code target [N]} INT64; targets equal to ignoreIndex do not count. */
    public static Tensor crossEntropy(Tensor logits, Tensor target, long ignoreIndex, double labelSmoothing) {
        try (TensorOptional noWeight = new TensorOptional()) {
            return Tensor.make(
                    "cross_entropy",
                    () -> torch.cross_entropy_loss(
                            logits.engine(), target.engine(), noWeight, 1, ignoreIndex, labelSmoothing),
                    logits,
                    target);
        }
    }

    public static Tensor crossEntropy(Tensor logits, Tensor target) {
        return crossEntropy(logits, target, -100, 0);
    }

    /** Binary cross-entropy of sigmoid(logits). */
    public static Tensor bceWithLogits(Tensor logits, Tensor target) {
        return Tensor.make(
                "bce_with_logits",
                () -> torch.binary_cross_entropy_with_logits(logits.engine(), target.engine()),
                logits,
                target);
    }

    private static long[] one(long n) {
        return new long[] {n};
    }

    private static long[] pair(long n) {
        return new long[] {n, n};
    }

    private static Tensor[] with(@Nullable Tensor optional, Tensor... inputs) {
        if (optional == null) {
            return inputs;
        }
        Tensor[] all = java.util.Arrays.copyOf(inputs, inputs.length + 1);
        all[inputs.length] = optional;
        return all;
    }
}
