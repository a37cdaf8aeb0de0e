package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The residual block of diffusion U-Nets and their autoencoders, arXiv:2006.11239, names as in diffusers: group norm,
 * activation and a 3 x 3 convolution, twice, with an embedding of time between. {@code [B, in, H, W] -> [B, out, H, W]}.
 */
public final class ResnetBlock implements Module {
    /**
     * What the blocks of a network have in common.
     *
     * @param time width of the embedding of time; 0 where there is none
     * @param groups of the first norm
     * @param groupsOut of the second
     * @param scaleShift whether time scales and shifts what the second norm made; else it is added before that norm
     * @param bareTime whether the embedding of time comes without the activation
     * @param scale the sum with the input is divided by this
     */
    public record Style(
            int time,
            int groups,
            int groupsOut,
            double eps,
            Act act,
            boolean scaleShift,
            boolean bareTime,
            double scale,
            double dropout) {
        public static Style of(int time, int groups, double eps, Act act) {
            return new Style(time, groups, groups, eps, act, false, false, 1, 0);
        }

        public Style withGroups(int in, int out) {
            return new Style(time, in, out, eps, act, scaleShift, bareTime, scale, dropout);
        }

        public Style withScale(double value) {
            return new Style(time, groups, groupsOut, eps, act, scaleShift, bareTime, value, dropout);
        }
    }

    private final Style style;
    private final GroupNorm norm1;
    private final Conv2d conv1;
    private final @Nullable Linear time;
    private final GroupNorm norm2;
    private final Dropout dropout;
    private final Conv2d conv2;
    private final @Nullable Conv2d shortcut;
    private final @Nullable Module resample;

    public ResnetBlock(Weights w, Style style, int in, int out) {
        this(w, style, in, out, null, in != out);
    }

    /**
     * @param resample what changes height and width of the input, on both ways through the block
     * @param hasShortcut whether the input passes a 1 x 1 convolution before the sum
     */
    public ResnetBlock(Weights w, Style style, int in, int out, @Nullable Module resample, boolean hasShortcut) {
        this.style = style;
        this.resample = resample;
        norm1 = new GroupNorm(w.at("norm1"), style.groups, in, style.eps);
        conv1 = new Conv2d(w.at("conv1"), in, out, 3, 1, 1);
        time = style.time == 0
                ? null
                : new Linear(w.at("time_emb_proj"), style.time, style.scaleShift ? 2L * out : out);
        norm2 = new GroupNorm(w.at("norm2"), style.groupsOut, out, style.eps);
        dropout = new Dropout(style.dropout);
        conv2 = new Conv2d(w.at("conv2"), out, out, 3, 1, 1);
        shortcut = hasShortcut ? new Conv2d(w.at("conv_shortcut"), in, out, 1, 1, 0) : null;
    }

    /** Of a network without time. */
    @Override
    public Tensor forward(Tensor x) {
        return forward(x, null);
    }

    /** @param embedding of time, {@code [B, time]}; null exactly where the network has none */
    public Tensor forward(Tensor x, @Nullable Tensor embedding) {
        return embedding == null
                ? Recompute.block(y -> run(y, null), x)
                : Recompute.block((y, c) -> run(y, c.get(0)), x, embedding);
    }

    private Tensor run(Tensor x, @Nullable Tensor embedding) {
        try (Scope s = Scope.open()) {
            Act act = style.act;
            Tensor h = Steps.run(
                    x,
                    norm1,
                    act::of,
                    resample == null ? same -> same : resample,
                    conv1,
                    y -> steered(y, embedding),
                    act::of,
                    dropout,
                    conv2);
            Tensor y = resample == null ? x : resample.forward(x);
            Tensor sum = (shortcut == null ? y : shortcut.forward(y)).add(h);
            return s.keep(style.scale == 1 ? sum : sum.div(style.scale));
        }
    }

    private Tensor steered(Tensor h, @Nullable Tensor embedding) {
        if (time == null || embedding == null) {
            return norm2.forward(h);
        }
        Tensor t = time.forward(style.bareTime ? embedding : style.act.of(embedding))
                .unsqueeze(-1)
                .unsqueeze(-1); // [B, out or 2 out, 1, 1]
        if (!style.scaleShift) {
            return Steps.run(h, x -> x.add(t), norm2);
        }
        List<Tensor> m = t.chunk(2, 1);
        return Steps.run(h, norm2, x -> x.mul(m.get(0).add(1)), x -> x.add(m.get(1)));
    }
}
