package dev.zoetrope.models.encodec;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A convolution of EnCodec, plain or transposed: its weight has a length of its own, or what it makes is normalised, and
 * it keeps whole frames by padding what it lacks.
 *
 * <p>Axes: B sounds, L samples or frames.
 */
final class CodecConv implements Module {
    private final EnCodec.Config config;
    private final Weight weight;
    private final Tensor bias;
    private final @Nullable GroupNorm norm;
    private final int kernel;
    private final int stride;
    private final int dilation;
    private final boolean transposed;

    private CodecConv(
            EnCodec.Config c, Weights w, int in, int out, int kernel, int stride, int dilation, boolean transposed) {
        config = c;
        this.kernel = kernel;
        this.stride = stride;
        this.dilation = dilation;
        this.transposed = transposed;
        Weights conv = w.at("conv");
        weight = Weight.of(c, conv, transposed ? in : out, transposed ? out : in, kernel);
        bias = conv.tensor("bias", Init.fanInBias((long) (transposed ? out : in) * kernel), out);
        norm = c.weightNorm() ? null : new GroupNorm(w.at("norm"), 1, out, 1e-5);
    }

    static CodecConv plain(EnCodec.Config c, Weights w, int in, int out, int kernel, int stride, int dilation) {
        return new CodecConv(c, w, in, out, kernel, stride, dilation, false);
    }

    /** Lengthens by the stride. */
    static CodecConv transposed(EnCodec.Config c, Weights w, int in, int out, int stride) {
        return new CodecConv(c, w, in, out, 2 * stride, stride, 1, true);
    }

    /** A weight, or its direction and length. */
    private record Weight(Tensor direction, @Nullable Tensor length) {
        static Weight of(EnCodec.Config c, Weights w, int first, int second, int kernel) {
            if (!c.weightNorm()) {
                return new Weight(w.tensor("weight", Init.fanIn(), first, second, kernel), null);
            }
            boolean newer = w.has("parametrizations.weight.original0");
            return new Weight(
                    w.tensor(
                            newer ? "parametrizations.weight.original1" : "weight_v",
                            Init.fanIn(),
                            first,
                            second,
                            kernel),
                    w.tensor(newer ? "parametrizations.weight.original0" : "weight_g", Init.ones(), first, 1, 1));
        }

        Tensor value() {
            return length == null ? direction : direction.mul(length.div(direction.norm(true, 1, 2)));
        }
    }

    @Override
    public Tensor forward(Tensor x) {
        try (Scope s = Scope.open()) {
            Tensor y = transposed ? lengthened(x) : shortened(x);
            return s.keep(y);
        }
    }

    private Tensor shortened(Tensor x) {
        int reach = (kernel - 1) * dilation + 1;
        int total = reach - stride;
        long length = x.size(2);
        long frames = Math.floorDiv(length - reach + total + stride - 1, stride) + 1;
        long extra = (frames - 1) * stride + reach - total - length; // up to a whole number of frames
        int right = config.causal() ? 0 : total / 2;
        Tensor padded = padded(x, total - right, right + extra);
        return normalised(Functional.conv1d(padded, weight.value(), bias, stride, 0, dilation, 1));
    }

    /** Reflection needs more samples than it adds: zeros stand in for those that a short sound lacks. */
    private Tensor padded(Tensor x, long left, long right) {
        if (left == 0 && right == 0) {
            return x;
        }
        if (!config.reflects()) {
            return Functional.pad(x, 0., left, right);
        }
        long missing = Math.max(0, Math.max(left, right) - x.size(2) + 1);
        Tensor longer = missing == 0 ? x : Functional.pad(x, 0., 0, missing);
        Tensor padded = Functional.pad(longer, Functional.Padding.REFLECT, left, right);
        return missing == 0 ? padded : padded.narrow(2, 0, padded.size(2) - missing);
    }

    private Tensor lengthened(Tensor x) {
        Tensor y = normalised(Functional.convTranspose1d(x, weight.value(), bias, stride, 0, 0, 1, 1));
        int total = kernel - stride;
        int right = config.causal() ? (int) Math.ceil(total * config.trimRight()) : total / 2;
        return y.narrow(2, total - right, y.size(2) - total);
    }

    private Tensor normalised(Tensor x) {
        return norm == null ? x : norm.forward(x);
    }
}
