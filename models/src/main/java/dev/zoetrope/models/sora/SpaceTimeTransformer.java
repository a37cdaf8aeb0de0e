package dev.zoetrope.models.sora;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.navit.Packing;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Diffusion transformer on space-time patches: predicts the clean latents from noisy ones, the time and a caption. The
 * block is DiT's (arXiv:2212.09748) with adaLN from time and pooled caption, and with the caption's words in context;
 * positions are rotary over time, height and width (arXiv:2104.09864) beside a table of sines on the input.
 *
 * <p>B clips, K latent channels, G x h x w latent frames, rows and columns; N = G (h/2) (w/2) patches; L words; D hidden.
 */
public final class SpaceTimeTransformer implements SpaceTimeNetwork {
    private static final double ROTARY_BASE = 50;
    private static final int TIME_FREQUENCIES = 32;
    private static final int WAVES = 8;

    /**
     * @param patchSize side of a patch in latent pixels
     * @param flowShift above 1 spends more of the steps near the noise, where the caption decides; training draws times so too
     * @param givenFrames whether it is told frames that are known
     */
    public record Config(
            int latentChannels,
            int patchSize,
            int hiddenSize,
            int layers,
            int heads,
            int mlpRatio,
            int textWidth,
            int textQueries,
            double flowShift,
            boolean givenFrames) {
        public Config {
            Check.positive(latentChannels, "latent_channels");
            Check.positive(patchSize, "patch_size");
            Check.divides(heads, hiddenSize, "heads", "hidden_size");
            Check.divides(8, hiddenSize / heads, "8", "hidden_size / heads");
            Check.between(1, 100, flowShift, "flow_shift");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("latent_channels", 32),
                    j.get("patch_size", 2),
                    j.get("hidden_size", 256),
                    j.get("layers", 6),
                    j.get("heads", 4),
                    j.get("mlp_ratio", 4),
                    j.get("text_width", 128),
                    j.get("text_queries", 4),
                    j.get("flow_shift", 4.),
                    j.get("given_frames", false));
        }

        int patchValues() {
            return latentChannels * patchSize * patchSize;
        }
    }

    private final Config config;
    private final Linear patchIn;
    private final @Nullable Linear givenIn;
    private final Linear positionIn;
    private final Linear sizeIn;
    private final Linear timeUp;
    private final Linear timeDown;
    private final Linear captionIn;
    private final Linear conditioning;
    private final Linear wordsIn;
    private final LayerNorm plain;
    private final List<Block> blocks;
    private final Linear finalModulation;
    private final Linear patchOut;

    public SpaceTimeTransformer(Config c, Weights w) {
        config = c;
        int d = c.hiddenSize();
        patchIn = new Linear(w.at("patch_in"), c.patchValues(), d);
        long marks = (long) MARKS * c.patchSize() * c.patchSize();
        givenIn = c.givenFrames() ? new Linear(w.at("given_in"), c.patchValues() + marks, d, false) : null;
        // Drawn so that a position weighs as much as a noisy patch: a smaller table is drowned by the noise.
        positionIn = new Linear(drawn(w.at("position_in"), Init.normal(.7 / Math.sqrt(5 * WAVES))), 10L * WAVES, d);
        sizeIn = new Linear(drawn(w.at("size_in"), Init.zeros()), 3, d);
        timeUp = new Linear(w.at("time_up"), 2L * TIME_FREQUENCIES, d);
        timeDown = new Linear(w.at("time_down"), d, d);
        captionIn = new Linear(w.at("caption_in"), (long) c.textQueries() * c.textWidth(), d);
        conditioning = new Linear(w.at("conditioning"), d, d);
        wordsIn = new Linear(w.at("words_in"), c.textWidth(), d);
        plain = LayerNorm.plain(d, 1e-6);
        blocks = w.at("blocks").stack(c.layers(), at -> new Block(c, at));
        finalModulation = new Linear(drawn(w.at("final_modulation"), Init.zeros()), d, 2L * d);
        patchOut = new Linear(drawn(w.at("patch_out"), Init.zeros()), d, c.patchValues());
    }

    private static Weights drawn(Weights w, Init weight) {
        return w.initialised((name, init) -> name.endsWith("bias") ? Init.zeros() : weight);
    }

    public Config config() {
        return config;
    }

    @Override
    public double flowShift() {
        return config.flowShift();
    }

    @Override
    public boolean givenFrames() {
        return config.givenFrames();
    }

    @Override
    public Tensor forward(Tensor latents, Tensor t, CaptionEncoder.Encoded caption, @Nullable Tensor given) {
        Grid grid = grid(latents);
        long words = caption.words().size(1);
        try (Scope s = Scope.open()) {
            Tensor condition = condition(t, caption, grid); // [B, D]
            Tensor patches = patches(latents, given, grid); // [B, N, D]
            Tensor x = Tensor.cat(1, wordsIn.forward(caption.words()), patches); // [B, L + N, D]
            Tensor mask = caption.present().all() ? null : CaptionEncoder.mask(caption.present(), patches.size(1));
            Rotary rotary = Rotary.of(angles(words, grid));
            for (Block block : blocks) {
                x = s.replace(
                        x,
                        Recompute.block(
                                (y, c) -> block.forward(y, m -> m.unsqueeze(1), c.get(0), rotary, mask), x, condition));
            }
            return s.keep(latents(x.narrow(1, words, patches.size(1)), condition, grid));
        }
    }

    /**
     * A clip among others of other sizes.
     *
     * @param latents {@code [1, K, G, h, w]}
     * @param t {@code [1]}
     * @param caption of this clip alone, without padding
     * @param given as {@link #given} makes it, or null
     */
    public record Piece(Tensor latents, Tensor t, CaptionEncoder.Encoded caption, @Nullable Tensor given) {}

    /** How many tokens a clip takes in a row, its caption's words included. */
    public int tokens(Piece piece) {
        return Math.toIntExact(piece.caption().words().size(1))
                + grid(piece.latents()).patches();
    }

    /**
     * Clips of unequal sizes in rows of one length, as NaViT (arXiv:2307.06304) packs pictures: a token attends to those of
     * its own clip. The answers are those of {@link #forward} for each clip alone.
     *
     * @param packing of the pieces by their {@link #tokens}
     * @return {@code [1, K, G, h, w]} a piece
     */
    public List<Tensor> packed(List<Piece> pieces, Packing packing) {
        try (Scope s = Scope.open()) {
            List<Tensor> conditions = new ArrayList<>();
            List<List<Tensor>> tokens = emptyRows(packing);
            List<List<Tensor>> angles = emptyRows(packing);
            int[] filled = new int[packing.rows()];
            for (int i : inRows(packing)) {
                Piece p = pieces.get(i);
                Grid grid = grid(p.latents());
                int row = packing.places().get(i).row();
                tokens.get(row).add(wordsIn.forward(p.caption().words()).squeeze(0));
                tokens.get(row).add(patches(p.latents(), p.given(), grid).squeeze(0));
                angles.get(row).add(angles(p.caption().words().size(1), grid));
                filled[row] += packing.places().get(i).tokens();
            }
            for (Piece p : pieces) {
                conditions.add(condition(p.t(), p.caption(), grid(p.latents())));
            }
            int pairs = config.hiddenSize() / config.heads() / 2;
            for (int row = 0; row < packing.rows(); row++) {
                int left = packing.rowTokens() - filled[row];
                if (left > 0) {
                    tokens.get(row).add(Tensor.zeros(left, config.hiddenSize()));
                    angles.get(row).add(Tensor.zeros(left, pairs));
                }
            }
            Tensor condition = Tensor.cat(0, conditions); // [pieces, D]
            Tensor x = rows(tokens); // [R, T, D]
            Rotary rotary = Rotary.of(rows(angles).unsqueeze(1)); // [R, 1, T, pairs]
            Tensor segments = packing.segments(); // [R, T]
            // Padding is a clip of its own, so that no row of scores is empty.
            Tensor mask = segments.unsqueeze(2).eq(segments.unsqueeze(1)).unsqueeze(1); // [R, 1, T, T]
            Tensor owner = segments.maskedFill(segments.lt(0L), 0).flatten(0, 1);
            UnaryOperator<Tensor> spread = m -> m.indexSelect(0, owner).unflatten(0, packing.rows(), -1);
            for (Block block : blocks) {
                x = s.replace(x, block.forward(x, spread, condition, rotary, mask));
            }
            List<Tensor> answers = new ArrayList<>();
            for (int i = 0; i < pieces.size(); i++) {
                Packing.Place place = packing.places().get(i);
                Grid grid = grid(pieces.get(i).latents());
                Tensor own = x.narrow(0, place.row(), 1)
                        .narrow(1, place.offset() + place.tokens() - grid.patches(), grid.patches());
                answers.add(s.keep(latents(own, condition.narrow(0, i, 1), grid)));
            }
            return answers;
        }
    }

    private static List<List<Tensor>> emptyRows(Packing packing) {
        List<List<Tensor>> r = new ArrayList<>();
        for (int i = 0; i < packing.rows(); i++) {
            r.add(new ArrayList<>());
        }
        return r;
    }

    /** The pieces in the order in which they stand in their rows. */
    private static int[] inRows(Packing packing) {
        return IntStream.range(0, packing.places().size())
                .boxed()
                .sorted(Comparator.comparing(i -> packing.places().get(i).offset()))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    private static Tensor rows(List<List<Tensor>> parts) {
        return Tensor.stack(0, parts.stream().map(row -> Tensor.cat(0, row)).toList());
    }

    /** How many patches a clip has along time, height and width. */
    private record Grid(int groups, int rows, int columns) {
        int patches() {
            return groups * rows * columns;
        }
    }

    private Grid grid(Tensor latents) {
        int p = config.patchSize();
        Check.divides(p, (int) latents.size(3), "patch_size", "height of the latents");
        Check.divides(p, (int) latents.size(4), "patch_size", "width of the latents");
        return new Grid((int) latents.size(2), (int) latents.size(3) / p, (int) latents.size(4) / p);
    }

    /** What the blocks read: latents, what is known of them, and where they are, {@code [B, N, D]}. */
    private Tensor patches(Tensor latents, @Nullable Tensor given, Grid g) {
        Tensor x = patchIn.forward(patchify(latents)).add(positionIn.forward(waves(g.groups, g.rows, g.columns)));
        if (given == null) {
            return x;
        }
        if (givenIn == null) {
            throw new IllegalArgumentException("this network was not trained to be told given frames");
        }
        return x.add(givenIn.forward(patchify(given)));
    }

    /** {@code [B, N, D] -> [B, K, G, h, w]}. */
    private Tensor latents(Tensor x, Tensor condition, Grid g) {
        List<Tensor> m = finalModulation.forward(condition).unsqueeze(1).chunk(2, -1);
        Tensor y = patchOut.forward(modulate(plain.forward(x), m.get(0), m.get(1))); // [B, N, K p p]
        return unpatchify(y, g.groups, g.rows, g.columns);
    }

    /** What steers every block: time, pooled caption and size, each normalised so that none drowns another. */
    private Tensor condition(Tensor t, CaptionEncoder.Encoded caption, Grid g) {
        Tensor time = timeDown.forward(timeUp.forward(timeWaves(t)).silu()); // [B, D]
        Tensor size = sizeIn.forward(
                Tensor.of(new float[] {log2(g.groups), log2(g.rows / 4.), log2(g.columns / 4.)}, 1, 3)); // [1, D]
        Tensor u = plain.forward(captionIn.forward(CaptionEncoder.flat(caption)))
                .add(plain.forward(time).mul(.7))
                .add(size);
        return plain.forward(conditioning.forward(u.silu()).add(u)).silu();
    }

    private static float log2(double v) {
        return (float) (Math.log(v) / Math.log(2));
    }

    /** {@code [B] -> [B, 2 F]}: sines and cosines of 1000 t at falling frequencies. */
    private static Tensor timeWaves(Tensor t) {
        float[] frequencies = new float[TIME_FREQUENCIES];
        for (int i = 0; i < TIME_FREQUENCIES; i++) {
            frequencies[i] = (float) (1000 * Math.exp(-Math.log(1000) * i / TIME_FREQUENCIES));
        }
        Tensor angles = t.unsqueeze(1).mul(Tensor.of(frequencies, 1, TIME_FREQUENCIES));
        return Tensor.cat(-1, angles.sin(), angles.cos());
    }

    /** {@code [B, K, G, h, w] -> [B, N, K p p]}. */
    private Tensor patchify(Tensor z) {
        int p = config.patchSize();
        return z.unflatten(4, -1, p)
                .unflatten(3, -1, p) // [B, K, G, h/p, p, w/p, p]
                .permute(0, 2, 3, 5, 1, 4, 6)
                .flatten(4)
                .flatten(1, 3);
    }

    private Tensor unpatchify(Tensor x, int groups, int rows, int columns) {
        int p = config.patchSize();
        return x.unflatten(2, config.latentChannels(), p, p)
                .unflatten(1, groups, rows, columns) // [B, G, h/p, w/p, K, p, p]
                .permute(0, 4, 1, 2, 5, 3, 6)
                .flatten(5)
                .flatten(3, 4);
    }

    /**
     * Where each patch is, as sines: in parts of the clip's length, height and width (motions are relative to them), and
     * in patches from the centre (objects stay their size when the canvas grows). {@code [N, 10 W]}.
     */
    private static Tensor waves(int groups, int rows, int columns) {
        float[] f = new float[groups * rows * columns * 10 * WAVES];
        int at = 0;
        for (int g = 0; g < groups; g++) {
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    at = waves(f, at, (g + .5) / groups * Math.PI);
                    at = waves(f, at, (r + .5) / rows * Math.PI);
                    at = waves(f, at, (c + .5) / columns * Math.PI);
                    at = waves(f, at, (r + .5 - rows / 2.) / 4 * Math.PI);
                    at = waves(f, at, (c + .5 - columns / 2.) / 4 * Math.PI);
                }
            }
        }
        return Tensor.of(f, (long) groups * rows * columns, 10L * WAVES);
    }

    private static int waves(float[] f, int at, double angle) {
        for (int k = 1; k <= WAVES; k++) {
            f[at++] = (float) Math.sin(angle * k / 2);
            f[at++] = (float) Math.cos(angle * k / 2);
        }
        return at;
    }

    /** Angles over time, height and width for the patches, none for the words; {@code [L + N, D / heads / 2]}. */
    private Tensor angles(long words, Grid grid) {
        int pairs = config.hiddenSize() / config.heads() / 2;
        int space = pairs / 8 * 3;
        int time = pairs - 2 * space;
        float[] angles = new float[((int) words + grid.patches()) * pairs];
        int at = (int) words * pairs;
        for (int g = 0; g < grid.groups; g++) {
            for (int r = 0; r < grid.rows; r++) {
                for (int c = 0; c < grid.columns; c++) {
                    at = turn(angles, at, g, time);
                    at = turn(angles, at, r, space);
                    at = turn(angles, at, c, space);
                }
            }
        }
        return Tensor.of(angles, angles.length / pairs, pairs);
    }

    private static int turn(float[] angles, int at, int position, int pairs) {
        for (int i = 0; i < pairs; i++) {
            angles[at++] = (float) (position / Math.pow(ROTARY_BASE, (double) i / pairs));
        }
        return at;
    }

    private static Tensor modulate(Tensor x, Tensor scale, Tensor shift) {
        return x.mul(scale.add(1)).add(shift);
    }

    /** Attention over words and patches together, then the MLP, each scaled, shifted and gated by the condition. */
    private static final class Block {
        private static final double GATE = .5;

        private final Linear modulation;
        private final LayerNorm norm;
        private final Linear qkv;
        private final RmsNorm queryNorm;
        private final RmsNorm keyNorm;
        private final Linear output;
        private final Linear up;
        private final Linear down;
        private final int heads;

        Block(Config c, Weights w) {
            int d = c.hiddenSize();
            int head = d / c.heads();
            heads = c.heads();
            // Half-open gates instead of DiT's closed ones: with few steps the blocks must work from the first.
            modulation = new Linear(
                    w.at("modulation").initialised((name, init) -> name.endsWith("bias") ? gates(d) : Init.normal(.03)),
                    d,
                    6L * d);
            norm = LayerNorm.plain(d, 1e-6);
            qkv = new Linear(w.at("qkv"), d, 3L * d, false);
            queryNorm = new RmsNorm(w.at("query_norm"), head, 1e-6);
            keyNorm = new RmsNorm(w.at("key_norm"), head, 1e-6);
            output = new Linear(w.at("output"), d, d);
            up = new Linear(w.at("mlp.up"), d, (long) c.mlpRatio() * d);
            down = new Linear(w.at("mlp.down"), (long) c.mlpRatio() * d, d);
        }

        private static Init gates(int d) {
            return (random, shape) -> {
                float[] b = new float[6 * d];
                java.util.Arrays.fill(b, 2 * d, 3 * d, (float) GATE);
                java.util.Arrays.fill(b, 5 * d, 6 * d, (float) GATE);
                return Tensor.of(b, shape);
            };
        }

        /**
         * {@code [B, T, D] -> [B, T, D]}.
         *
         * @param spread from a row a clip to what broadcasts against the tokens
         */
        Tensor forward(Tensor x, UnaryOperator<Tensor> spread, Tensor condition, Rotary rotary, @Nullable Tensor mask) {
            try (Scope s = Scope.open()) {
                List<Tensor> m = spread.apply(modulation.forward(condition)).chunk(6, -1); // 6 x [B, 1 or T, D]
                Tensor a = attend(modulate(norm.forward(x), m.get(0), m.get(1)), rotary, mask);
                x = x.add(a.mul(m.get(2)));
                Tensor h = up.forward(modulate(norm.forward(x), m.get(3), m.get(4)))
                        .geluTanh();
                return s.keep(x.add(down.forward(h).mul(m.get(5))));
            }
        }

        private Tensor attend(Tensor x, Rotary rotary, @Nullable Tensor mask) {
            List<Tensor> parts = qkv.forward(x).chunk(3, -1);
            Tensor q = rotary.halves(queryNorm.forward(Heads.split(parts.get(0), heads))); // [B, heads, T, D / heads]
            Tensor k = rotary.halves(keyNorm.forward(Heads.split(parts.get(1), heads)));
            Tensor v = Heads.split(parts.get(2), heads);
            return output.forward(Heads.merge(Functional.attention(q, k, v, mask, false, null)));
        }
    }
}
