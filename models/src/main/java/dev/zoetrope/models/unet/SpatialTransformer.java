package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Transformer over the places of a picture with attention to a text, arXiv:2112.10752, names as in diffusers. B
 * pictures, N = H W places, C channels, T tokens of text, F features of a token.
 */
final class SpatialTransformer implements Mixer {
    private static final double NORM_EPS = 1e-6;
    private static final double EPS = 1e-5;

    /**
     * @param layers transformer blocks after each residual block of the level
     * @param contextWidth F
     * @param linear whether the projections work on tokens; else they are 1 x 1 convolutions
     * @param onlyCross whether the first attention of a block looks at the text too
     * @param gated whether boxes can steer, arXiv:2301.07093
     */
    record Config(
            int heads,
            List<Integer> layers,
            int contextWidth,
            int groups,
            boolean linear,
            boolean onlyCross,
            boolean gated) {}

    private final String path;
    private final GroupNorm norm;
    private final Module projIn;
    private final List<Block> blocks;
    private final Module projOut;
    private final boolean linear;

    /** @param layer which residual block of its level it follows */
    SpatialTransformer(Config c, int channels, int layer, Weights w) {
        Check.divides(c.heads, channels, "number of heads", "channels");
        path = w.path();
        linear = c.linear;
        norm = new GroupNorm(w.at("norm"), c.groups, channels, NORM_EPS);
        projIn = projection(w.at("proj_in"), channels);
        blocks = w.at("transformer_blocks").stack(c.layers.get(layer), at -> new Block(c, channels, at));
        projOut = projection(w.at("proj_out"), channels);
    }

    private Module projection(Weights w, int channels) {
        return linear ? new Linear(w, channels, channels) : new Conv2d(w, channels, channels, 1, 1, 0);
    }

    @Override
    public Tensor forward(Tensor x, Pass.Steering c) {
        try (Scope s = Scope.open()) {
            Tensor h = norm.forward(x);
            Tensor y = linear ? projIn.forward(tokens(h)) : tokens(projIn.forward(h)); // [B, N, C]
            for (Block block : blocks) {
                y = s.replace(y, Recompute.block((z, seen) -> block.forward(z, c.with(seen)), y, c.seen()));
            }
            Tensor out = linear ? picture(projOut.forward(y), x) : projOut.forward(picture(y, x));
            Tensor sum = s.keep(out.add(x));
            c.watch().accept(path, sum);
            return sum;
        }
    }

    private static Tensor tokens(Tensor x) { // [B, C, H, W] -> [B, N, C]
        return x.flatten(2).transpose(1, 2);
    }

    private static Tensor picture(Tensor y, Tensor like) { // [B, N, C] -> [B, C, H, W]
        return y.transpose(1, 2).reshape(like.shape());
    }

    private static Attention attention(Weights w, int width, int contextWidth, int heads) {
        return new Attention(
                new Linear(w.at("to_q"), width, width, false),
                new Linear(w.at("to_k"), contextWidth, width, false),
                new Linear(w.at("to_v"), contextWidth, width, false),
                new Linear(w.at("to_out.0"), width, width),
                heads);
    }

    /** Attention to the picture, to the text (or to the picture again) and a feed-forward layer. */
    static final class Block {
        private final LayerNorm norm1;
        private final Attention attn1;
        private final @Nullable Fuser fuser;
        private final LayerNorm norm2;
        private final Attention attn2;
        private final LayerNorm norm3;
        private final FeedForward ff;
        private final boolean onlyCross;

        Block(Config c, int width, Weights w) {
            norm1 = new LayerNorm(w.at("norm1"), width, EPS);
            attn1 = attention(w.at("attn1"), width, c.onlyCross ? c.contextWidth : width, c.heads);
            fuser = c.gated ? new Fuser(c, width, w.at("fuser")) : null;
            norm2 = new LayerNorm(w.at("norm2"), width, EPS);
            attn2 = attention(w.at("attn2"), width, c.contextWidth, c.heads);
            norm3 = new LayerNorm(w.at("norm3"), width, EPS);
            ff = new FeedForward(w.at("ff"), width);
            onlyCross = c.onlyCross;
        }

        Tensor forward(Tensor x, Pass.Steering c) { // [B, N, C] -> [B, N, C]
            try (Scope s = Scope.open()) {
                Tensor h = norm1.forward(x);
                Tensor y = x.add(attn1.forward(h, onlyCross && c.text() != null ? c.text() : h, null, false));
                if (fuser != null && c.objects() != null) {
                    y = fuser.forward(y, c.objects());
                    c.watch().accept(fuser.path, y);
                }
                h = norm2.forward(y);
                Tensor seen = c.text() == null ? h : c.text();
                y = y.add(attn2.forward(h, seen, c.mask(), false));
                return s.keep(y.add(ff.forward(norm3.forward(y))));
            }
        }
    }

    /** Attention of the picture to itself and to boxes, through gates that start shut. */
    private static final class Fuser {
        private final String path;
        private final Linear linear;
        private final Attention attn;
        private final FeedForward ff;
        private final LayerNorm norm1;
        private final LayerNorm norm2;
        private final Tensor alphaAttn;
        private final Tensor alphaDense;

        Fuser(Config c, int width, Weights w) {
            path = w.path();
            linear = new Linear(w.at("linear"), c.contextWidth, width);
            attn = attention(w.at("attn"), width, width, c.heads);
            ff = new FeedForward(w.at("ff"), width);
            norm1 = new LayerNorm(w.at("norm1"), width, EPS);
            norm2 = new LayerNorm(w.at("norm2"), width, EPS);
            alphaAttn = w.tensor("alpha_attn", Init.zeros());
            alphaDense = w.tensor("alpha_dense", Init.zeros());
        }

        Tensor forward(Tensor x, Tensor objects) { // [B, N, C], [B, n, F] -> [B, N, C]
            try (Scope s = Scope.open()) {
                Tensor all = norm1.forward(Tensor.cat(1, x, linear.forward(objects))); // [B, N + n, C]
                Tensor y = x.add(attn.forward(all).narrow(1, 0, x.size(1)).mul(alphaAttn.tanh()));
                return s.keep(y.add(ff.forward(norm2.forward(y)).mul(alphaDense.tanh())));
            }
        }
    }

    /** GEGLU, arXiv:2002.05202, four times as wide inside. */
    private static final class FeedForward implements Module {
        private final Linear up;
        private final Linear down;

        FeedForward(Weights w, int width) {
            up = new Linear(w.at("net.0.proj"), width, 8L * width);
            down = new Linear(w.at("net.2"), 4L * width, width);
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                List<Tensor> halves = up.forward(x).chunk(2, -1);
                return s.keep(down.forward(halves.get(0).mul(halves.get(1).gelu())));
            }
        }
    }
}
