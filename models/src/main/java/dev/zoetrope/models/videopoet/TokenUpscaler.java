package dev.zoetrope.models.videopoet;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.sora.CaptionEncoder;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.Embedding;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * Tokens of a clip to the tokens of the same clip at twice the height and width, after VideoPoet's super-resolution
 * (arXiv:2312.14125): a transformer over masked tokens (MAGVIT, arXiv:2212.05199), not one after the other. Blocks of three
 * layers attend in windows along height, width and time, so the work grows with the number of tokens and not with its square.
 *
 * <p>B clips, P planes, H x W tokens of a plane at the high resolution, K parts of a token, N codes of each, D width.
 */
public final class TokenUpscaler {
    private static final int FACTOR = 2;
    private static final double EPS = 1e-5;

    /**
     * @param width D
     * @param blocks of three layers
     * @param window tokens on the short sides of a window
     * @param textWidth of a caption's pooled vectors
     * @param textQueries pooled vectors
     * @param parts K
     * @param codes N
     * @param maxPlanes most planes
     * @param maxSide most rows, and most columns, at the high resolution
     */
    public record Config(
            int width,
            int blocks,
            int heads,
            int window,
            int textWidth,
            int textQueries,
            int parts,
            int codes,
            int maxPlanes,
            int maxSide) {
        public Config {
            Check.divides(heads, width, "heads", "width");
            Check.positive(blocks, "blocks");
            Check.positive(window, "window");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("width", 192),
                    j.get("blocks", 2),
                    j.get("heads", 4),
                    j.get("window", 4),
                    j.get("text_width", 128),
                    j.get("text_queries", 4),
                    j.get("parts", 2),
                    j.get("codes", 512),
                    j.get("max_planes", 16),
                    j.get("max_side", 32));
        }
    }

    private final Config config;
    private final Embedding high; // of each part N codes, then one for a token that is not known
    private final Embedding low;
    private final Embedding planes;
    private final Embedding rows;
    private final Embedding columns;
    private final Linear textIn;
    private final List<Layer> layers;
    private final LayerNorm norm;
    private final Linear head;

    public TokenUpscaler(Config c, Weights w) {
        config = c;
        int d = c.width();
        high = new Embedding(w.at("high"), (long) c.parts() * (c.codes() + 1), d, Init.normal(.5));
        low = new Embedding(w.at("low"), (long) c.parts() * c.codes(), d, Init.normal(.5));
        planes = new Embedding(w.at("planes"), c.maxPlanes(), d, Init.normal(.3));
        rows = new Embedding(w.at("rows"), c.maxSide(), d, Init.normal(.3));
        columns = new Embedding(w.at("columns"), c.maxSide(), d, Init.normal(.3));
        textIn = new Linear(w.at("text_in"), (long) c.textQueries() * c.textWidth(), d);
        layers = w.at("layers").stack(3 * c.blocks(), at -> new Layer(c, at));
        norm = new LayerNorm(w.at("norm"), d, EPS);
        head = new Linear(w.at("head"), d, (long) c.parts() * c.codes());
    }

    public Config config() {
        return config;
    }

    /**
     * Scores of every token's parts.
     *
     * @param codes {@code [B, P, H, W, K]} INT64, below 0 for tokens that are not known
     * @param small the clip at half the height and width, {@code [B, P, H/2, W/2, K]}
     * @return {@code [B, P, H, W, K, N]}
     */
    public Tensor forward(Tensor codes, Tensor small, CaptionEncoder.Encoded caption) {
        Check.equal(codes.size(2), FACTOR * small.size(2), "rows of tokens", "twice those of the small clip");
        Check.equal(codes.size(3), FACTOR * small.size(3), "columns of tokens", "twice those of the small clip");
        try (Scope s = Scope.open()) {
            Tensor known = codes.maskedFill(codes.lt(0L), config.codes()); // the entry behind the codes
            Tensor x = high.forward(known.add(offsets(config.codes() + 1))).sum(4); // [B, P, H, W, D]
            Tensor guide = low.forward(small.add(offsets(config.codes()))).sum(4);
            x = x.add(guide.repeatInterleave(FACTOR, 2).repeatInterleave(FACTOR, 3))
                    .add(place(planes, codes.size(1)).unsqueeze(1).unsqueeze(1))
                    .add(place(rows, codes.size(2)).unsqueeze(1))
                    .add(place(columns, codes.size(3)))
                    .add(textIn.forward(caption.pooled().flatten(1)).reshape(-1, 1, 1, 1, config.width()));
            for (int i = 0; i < layers.size(); i++) {
                x = s.replace(x, layers.get(i).forward(x, window(i % 3, codes)));
            }
            return s.keep(head.forward(norm.forward(x)).unflatten(-1, config.parts(), config.codes()));
        }
    }

    private Tensor offsets(int entries) {
        long[] r = new long[config.parts()];
        java.util.Arrays.setAll(r, k -> (long) k * entries);
        return Tensor.of(r, r.length);
    }

    private static Tensor place(Embedding e, long n) {
        Check.atMost(e.weight().size(0), n, "what the upscaler was made for,", "the number of places");
        return e.weight().narrow(0, 0, n);
    }

    /** Planes, rows and columns of a window: along height, along width, along time. */
    private long[] window(int axis, Tensor codes) {
        long p = codes.size(1);
        long h = codes.size(2);
        long w = codes.size(3);
        return switch (axis) {
            case 0 -> new long[] {1, h, fit(w)};
            case 1 -> new long[] {1, fit(h), w};
            default -> new long[] {p, fit(h), fit(w)};
        };
    }

    /** The window, or the largest part of it that divides the side. */
    private long fit(long side) {
        long r = Math.min(config.window(), side);
        while (side % r != 0) {
            r--;
        }
        return r;
    }

    /**
     * Tokens at the high resolution: all at once, of which the surest stay, and again for the rest.
     *
     * @param small {@code [B, P, h, w, K]}
     * @param steps after which all stay; 24 as published
     * @param guidanceScale how much the caption counts against none; 1 is none
     * @param none captions that say nothing
     * @return {@code [B, P, 2h, 2w, K]}
     */
    public Tensor enlarge(
            Tensor small,
            CaptionEncoder.Encoded caption,
            CaptionEncoder.Encoded none,
            double guidanceScale,
            int steps,
            RandomSource random) {
        Check.positive(steps, "steps");
        long b = small.size(0);
        long places = small.size(1) * small.size(2) * small.size(3) * FACTOR * FACTOR;
        long[] shape = {b, small.size(1), small.size(2) * FACTOR, small.size(3) * FACTOR, small.size(4)};
        try (var off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor codes = Tensor.full(-1, DType.INT64, small.device(), shape);
            for (int i = 0; i < steps; i++) {
                try (Scope one = Scope.open()) {
                    Tensor scores = forward(codes, small, caption);
                    if (guidanceScale != 1) {
                        Tensor without = forward(codes, small, none);
                        scores = without.add(scores.sub(without).mul(guidanceScale));
                    }
                    Tensor logs = scores.logSoftmax(-1).flatten(1, 3); // [B, n, K, N]
                    Tensor temper = gumbel(logs.shape(), random); // less and less chance
                    Tensor drawn = logs.add(temper.mul(1 - (i + 1.) / steps)).argmax(-1); // [B, n, K]
                    Tensor open = codes.flatten(1, 3).lt(0L);
                    Tensor all = Tensor.where(open, drawn, codes.flatten(1, 3));
                    Tensor sure = logs.gather(3, all.unsqueeze(3)).squeeze(3).sum(2); // [B, n]
                    sure = sure.maskedFill(open.select(2, 0).not(), Double.POSITIVE_INFINITY);
                    long hidden = i + 1 == steps ? 0 : (long) (places * Math.cos(Math.PI / 2 * (i + 1) / steps));
                    Tensor next = hidden == 0 ? all : hide(all, sure, hidden);
                    codes = one.keep(next.reshape(shape).copy());
                }
            }
            return s.keep(codes);
        }
    }

    /** Forgets the least sure ones. {@code [B, n, K], [B, n]}. */
    private static Tensor hide(Tensor codes, Tensor sure, long hidden) {
        Tensor least = sure.neg().topk(hidden, 1).indices(); // [B, hidden]
        Tensor index = least.unsqueeze(2).expand(-1, -1, codes.size(2));
        return codes.scatter(1, index, codes.gather(1, index).mul(0L).sub(1L));
    }

    private static Tensor gumbel(long[] shape, RandomSource random) {
        return random.uniform(shape).clamp(1e-9, 1).log().neg().log().neg();
    }

    /**
     * How well hidden tokens are foretold, a number.
     *
     * @param codes of the clip {@code [B, P, H, W, K]}
     * @param hidden {@code [B, P, H, W]} BOOL
     */
    public Tensor loss(Tensor codes, Tensor hidden, Tensor small, CaptionEncoder.Encoded caption) {
        try (Scope s = Scope.open()) {
            Tensor scores = forward(codes.maskedFill(hidden.unsqueeze(4), -1), small, caption);
            Tensor target = codes.maskedFill(hidden.not().unsqueeze(4), -100);
            return s.keep(Functional.crossEntropy(scores.to(DType.FLOAT32).flatten(0, 4), target.flatten(0), -100, 0));
        }
    }

    /** Attention inside windows, then the feed-forward layer, each behind its norm. */
    private static final class Layer {
        private final LayerNorm before;
        private final Attention attention;
        private final LayerNorm after;
        private final Linear up;
        private final Linear down;

        Layer(Config c, Weights w) {
            int d = c.width();
            before = new LayerNorm(w.at("norm_attention"), d, EPS);
            attention = Attention.of(w.at("attention"), d, c.heads(), false, "query", "key", "value", "output");
            after = new LayerNorm(w.at("norm_mlp"), d, EPS);
            up = new Linear(w.at("mlp.up"), d, 4L * d);
            down = new Linear(w.at("mlp.down"), 4L * d, d);
        }

        Tensor forward(Tensor x, long[] window) { // [B, P, H, W, D]
            try (Scope s = Scope.open()) {
                Tensor n = windows(before.forward(x), window);
                Tensor y = x.add(whole(attention.forward(n, n, null, false), x.shape(), window));
                return s.keep(y.add(down.forward(up.forward(after.forward(y)).geluTanh())));
            }
        }

        /** {@code [B, P, H, W, D]} to {@code [windows, tokens of one, D]}. */
        private static Tensor windows(Tensor x, long[] window) {
            return x.unflatten(3, -1, window[2])
                    .unflatten(2, -1, window[1])
                    .unflatten(1, -1, window[0]) // [B, p, wp, h, wh, w, ww, D]
                    .permute(0, 1, 3, 5, 2, 4, 6, 7)
                    .flatten(4, 6)
                    .flatten(0, 3);
        }

        private static Tensor whole(Tensor x, long[] shape, long[] window) {
            return x.unflatten(1, window)
                    .unflatten(0, shape[0], shape[1] / window[0], shape[2] / window[1], shape[3] / window[2])
                    .permute(0, 1, 4, 2, 5, 3, 6, 7)
                    .reshape(shape);
        }
    }
}
