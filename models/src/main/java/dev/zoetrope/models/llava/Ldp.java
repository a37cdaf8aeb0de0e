package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.List;

/**
 * MobileVLM's light downsampling projector, arXiv:2312.16886: two linear layers, then two MobileNetV3 blocks on the map of
 * features, of which the second halves its sides.
 *
 * <p>Axes: B pictures, N = h w features of a square map, D width of the language model.
 */
public final class Ldp implements Module {
    private final Linear first;
    private final Linear second;
    private final Block keeping;
    private final Block halving;

    public Ldp(Weights w, int in, int out) {
        Weights m = w.at("model");
        first = new Linear(m.at("mlp.1"), in, out);
        second = new Linear(m.at("mlp.3"), out, out);
        keeping = new Block(m.at("mb_block.1"), out, 1);
        halving = new Block(m.at("mb_block.2"), out, 2);
    }

    @Override
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            List<Tensor> all = steps(features);
            return s.keep(all.get(all.size() - 1));
        }
    }

    /** What the linear layers give {@code [B, N, D]}; of the first block convolution, gate and output; the tokens. */
    public List<Tensor> steps(Tensor features) {
        List<Tensor> r = new ArrayList<>();
        Tensor x = second.forward(first.forward(features).gelu()); // [B, N, D]
        r.add(x);
        r.addAll(keeping.steps(map(x)));
        Tensor small = halving.forward(r.get(r.size() - 1)); // [B, D, h', w']
        r.add(tokens(small));
        return r;
    }

    /** {@code [B, N, D] -> [B, D, h, w]}. */
    static Tensor map(Tensor x) {
        long side = Math.round(Math.sqrt(x.size(1)));
        if (side * side != x.size(1)) {
            throw new UserError("the projector needs a square map of features, and " + x.size(1) + " are none");
        }
        return x.transpose(1, 2).unflatten(2, side, side).contiguous();
    }

    /** {@code [B, D, h, w] -> [B, h w, D]}. */
    static Tensor tokens(Tensor map) {
        return map.flatten(2).transpose(1, 2);
    }

    /** An inverted residual without expansion, arXiv:1905.02244, whose norms run over the channels of each place. */
    private static final class Block implements Module {
        private static final double EPS = 1e-5;

        private final Conv2d depthwise;
        private final LayerNorm depthwiseNorm;
        private final Conv2d squeeze;
        private final Conv2d excite;
        private final Conv2d pointwise;
        private final LayerNorm pointwiseNorm;
        private final boolean residual;

        Block(Weights published, int channels, int stride) {
            Weights w = published.at("block");
            depthwise = new Conv2d(w.at("0.0"), channels, channels, 3, stride, 1, channels, false);
            depthwiseNorm = new LayerNorm(w.at("0.1"), channels, EPS);
            squeeze = new Conv2d(w.at("1.fc1"), channels, squeezed(channels), 1, 1, 0);
            excite = new Conv2d(w.at("1.fc2"), squeezed(channels), channels, 1, 1, 0);
            pointwise = new Conv2d(w.at("2.0"), channels, channels, 1, 1, 0, 1, false);
            pointwiseNorm = new LayerNorm(w.at("2.1"), channels, EPS);
            residual = stride == 1;
        }

        /** A quarter, rounded to a multiple of 8 that is at most 10 % less. */
        private static int squeezed(int channels) {
            double quarter = channels / 4.0;
            int rounded = Math.max(8, (int) (quarter + 4) / 8 * 8);
            return rounded < 0.9 * quarter ? rounded + 8 : rounded;
        }

        /** {@code [B, D, h, w] -> [B, D, h', w']}. */
        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                return s.keep(steps(x).get(2));
            }
        }

        List<Tensor> steps(Tensor x) {
            Tensor wide = overChannels(depthwiseNorm, depthwise.forward(x)).hardswish();
            Tensor gate = excite.forward(squeeze.forward(wide.mean(true, 2, 3)).relu())
                    .hardsigmoid(); // [B, D, 1, 1]
            Tensor gated = wide.mul(gate);
            Tensor y = overChannels(pointwiseNorm, pointwise.forward(gated));
            return List.of(wide, gated, residual ? x.add(y) : y);
        }

        private static Tensor overChannels(LayerNorm norm, Tensor map) {
            return norm.forward(map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2);
        }
    }
}
