package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.nn.Recompute;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The image encoder of Segment Anything, arXiv:2304.02643: a ViT (arXiv:2203.16527) that attends within windows, and
 * over the whole picture in a few blocks. Names as in facebook/sam-vit-base ({@code vision_encoder}).
 *
 * <p>Axes: B pictures, H x W rows and columns of patches, D hidden size, C channels of the embedding.
 */
public final class SamImageEncoder implements Module {
    /**
     * @param imageSize rows and columns of pixels
     * @param window side of the windows in patches
     * @param global blocks that attend over the whole picture, from 0
     * @param outChannels C
     */
    public record Config(
            int imageSize,
            int patch,
            int channels,
            int hidden,
            int mlp,
            int layers,
            int heads,
            int window,
            Set<Integer> global,
            int outChannels,
            boolean qkvBias,
            boolean absolutePositions,
            boolean relativePositions,
            Act activation,
            double eps) {
        public Config {
            Check.divides(patch, imageSize, "patch_size", "image_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
            Check.positive(channels, "num_channels");
            Check.positive(mlp, "mlp_dim");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(outChannels, "output_channels");
            Check.between(0, Integer.MAX_VALUE, window, "window_size");
            global = Set.copyOf(global);
        }

        /** From the {@code vision_config} of a SAM configuration. */
        public static Config of(Json j) {
            int hidden = j.get("hidden_size", 768);
            return new Config(
                    j.get("image_size", 1024),
                    j.get("patch_size", 16),
                    j.get("num_channels", 3),
                    hidden,
                    j.get("mlp_dim", (int) (hidden * j.get("mlp_ratio", 4.0))),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("window_size", 14),
                    set(j.get("global_attn_indexes", new int[] {2, 5, 8, 11})),
                    j.get("output_channels", 256),
                    j.get("qkv_bias", true),
                    j.get("use_abs_pos", true),
                    j.get("use_rel_pos", true),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-6));
        }

        static Set<Integer> set(int... values) {
            return Arrays.stream(values).boxed().collect(Collectors.toSet());
        }

        /** H and W. */
        public int side() {
            return imageSize / patch;
        }

        /** Side of the square within which a block attends. */
        int reach(int block) {
            return window == 0 || global.contains(block) ? side() : window;
        }
    }

    private final Config config;
    private final Conv2d patches;
    private final @Nullable Tensor positions;
    private final List<Block> blocks;
    private final SamNeck neck;

    public SamImageEncoder(Config c, Weights w) {
        config = c;
        int side = c.side();
        patches = Conv2d.patches(w.at("patch_embed.projection"), c.channels, c.hidden, c.patch);
        positions = c.absolutePositions ? w.tensor("pos_embed", Init.zeros(), 1, side, side, c.hidden) : null;
        List<Block> all = new ArrayList<>();
        for (int i = 0; i < c.layers; i++) {
            all.add(new Block(c, c.reach(i), w.at("layers").at(i)));
        }
        blocks = List.copyOf(all);
        neck = new SamNeck(w.at("neck"), c.hidden, c.outChannels);
    }

    public Config config() {
        return config;
    }

    /** Normalised pixels {@code [B, 3, imageSize, imageSize]} to embeddings {@code [B, C, H, W]}. */
    @Override
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(neck(blocks(patches(pixels), 0, blocks.size())));
        }
    }

    /** Through the blocks from {@code from} to {@code to - 1}, {@code [B, H, W, D] -> [B, H, W, D]}. */
    public Tensor blocks(Tensor hidden, int from, int to) {
        try (Scope s = Scope.open()) {
            Tensor x = hidden;
            for (Block block : blocks.subList(from, to)) {
                x = s.replace(x, Recompute.block(block::forward, x));
            }
            return s.keep(x);
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [B, H, W, D]}. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        List<Tensor> r = new ArrayList<>();
        try (Scope s = Scope.open()) {
            Tensor x = patches(pixels);
            r.add(s.keep(x));
            for (Block block : blocks) {
                x = block.forward(x);
                r.add(s.keep(x));
            }
        }
        return r;
    }

    /** What comes out of a block to the embedding: {@code [B, H, W, D] -> [B, C, H, W]}. */
    public Tensor neck(Tensor hidden) {
        return neck.forward(hidden);
    }

    /** What goes into the first block, {@code [B, 3, imageSize, imageSize] -> [B, H, W, D]}. */
    public Tensor patches(Tensor pixels) {
        Check.shape(pixels.shape(), "pixels", -1, config.channels, config.imageSize, config.imageSize);
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).permute(0, 2, 3, 1).contiguous(); // [B, H, W, D]
            return s.keep(positions == null ? x : x.add(positions));
        }
    }

    private static final class Block implements Module {
        private final LayerNorm attentionNorm;
        private final Attention attention;
        private final LayerNorm mlpNorm;
        private final SamMlp mlp;
        private final int reach;

        Block(Config c, int reach, Weights w) {
            this.reach = reach;
            attentionNorm = new LayerNorm(w.at("layer_norm1"), c.hidden, c.eps);
            attention = new Attention(c, reach, w.at("attn"));
            mlpNorm = new LayerNorm(w.at("layer_norm2"), c.hidden, c.eps);
            mlp = new SamMlp(w.at("mlp"), c.hidden, c.mlp, c.activation);
        }

        @Override
        public Tensor forward(Tensor x) { // [B, H, W, D]
            try (Scope s = Scope.open()) {
                long rows = x.size(1);
                long columns = x.size(2);
                Tensor windows = windows(attentionNorm.forward(x)); // [B windows, reach, reach, D]
                Tensor a = together(attention.forward(windows), rows, columns);
                x = x.add(a);
                return s.keep(x.add(mlp.forward(mlpNorm.forward(x))));
            }
        }

        /** Cuts into windows; a zero row of the padding takes part in attention as any other. */
        private Tensor windows(Tensor x) {
            long down = padded(x.size(1));
            long right = padded(x.size(2));
            if (down == reach && right == reach && x.size(1) == reach && x.size(2) == reach) {
                return x;
            }
            return Functional.pad(x, 0, 0, 0, 0, right - x.size(2), 0, down - x.size(1))
                    .unflatten(2, right / reach, reach)
                    .unflatten(1, down / reach, reach) // [B, H/r, r, W/r, r, D]
                    .transpose(2, 3)
                    .flatten(0, 2);
        }

        private Tensor together(Tensor windows, long rows, long columns) {
            if (rows == reach && columns == reach) {
                return windows;
            }
            return windows.unflatten(0, -1, padded(rows) / reach, padded(columns) / reach)
                    .transpose(2, 3)
                    .flatten(3, 4)
                    .flatten(1, 2)
                    .narrow(1, 0, rows)
                    .narrow(2, 0, columns);
        }

        private long padded(long length) {
            return (length + reach - 1) / reach * reach;
        }
    }

    /**
     * Attention within a square, with what a query makes of the distance to each key in rows and in columns
     * (arXiv:2112.01526) added to the scores.
     */
    private static final class Attention implements Module {
        /**
         * Bytes of the added scores that stand at a time. All of them together are 800 MB in a block of the published
         * size; a piece that fits the caches is made and read twice as fast.
         */
        private static final long PIECE = 1L << 24;

        private final Linear qkv;
        private final Linear output;
        private final @Nullable Tensor rowDistances;
        private final @Nullable Tensor columnDistances;
        private final int heads;
        private final int side;

        Attention(Config c, int side, Weights w) {
            this.heads = c.heads;
            this.side = side;
            qkv = new Linear(w.at("qkv"), c.hidden, 3L * c.hidden, c.qkvBias);
            output = new Linear(w.at("proj"), c.hidden, c.hidden);
            long distances = 2L * side - 1;
            long d = c.hidden / c.heads;
            rowDistances = c.relativePositions ? w.tensor("rel_pos_h", Init.zeros(), distances, d) : null;
            columnDistances = c.relativePositions ? w.tensor("rel_pos_w", Init.zeros(), distances, d) : null;
        }

        @Override
        public Tensor forward(Tensor x) { // [N, S, S, D]
            try (Scope s = Scope.open()) {
                List<Tensor> parts = qkv.forward(x.flatten(1, 2)) // [N, S S, 3 D]
                        .unflatten(-1, 3, heads, -1)
                        .permute(2, 0, 3, 1, 4)
                        .unbind(0); // 3 x [N, heads, S S, d]
                Tensor y = attend(parts.get(0), parts.get(1), parts.get(2));
                return s.keep(output.forward(y.transpose(1, 2).flatten(2)).unflatten(1, side, side));
            }
        }

        private Tensor attend(Tensor q, Tensor k, Tensor v) {
            if (rowDistances == null || columnDistances == null) {
                return Functional.attention(q, k, v, null, false, null);
            }
            Tensor grid = q.unflatten(2, side, side); // [N, heads, S, S, d]
            Tensor byRow = Tensor.einsum("nmhwd,hkd->nmhwk", grid, table(rowDistances)); // [N, heads, S, S, S]
            Tensor byColumn = Tensor.einsum("nmhwd,wkd->nmhwk", grid, table(columnDistances));
            long aRow = q.size(0) * heads * side * side * side * Float.BYTES;
            long rows = Math.max(1, Math.min(side, PIECE / aRow));
            List<Tensor> pieces = new ArrayList<>();
            for (long row = 0; row < side; row += rows) {
                long n = Math.min(rows, side - row);
                try (Scope s = Scope.open()) {
                    Tensor scores = byRow.narrow(2, row, n)
                            .unsqueeze(-1)
                            .add(byColumn.narrow(2, row, n).unsqueeze(-2)) // [N, heads, n, S, S, S]
                            .flatten(4)
                            .flatten(2, 3); // [N, heads, n S, S S]
                    Tensor some = q.narrow(2, row * side, n * side);
                    pieces.add(s.keep(Functional.attention(some, k, v, scores, false, null)));
                }
            }
            return pieces.size() == 1 ? pieces.get(0) : Tensor.cat(2, pieces);
        }

        /** The vector for each pair of query and key in a line, {@code [S, S, d]}. */
        private Tensor table(Tensor distances) {
            long[] index = new long[side * side];
            for (int q = 0; q < side; q++) {
                for (int k = 0; k < side; k++) {
                    index[q * side + k] = q - k + side - 1L;
                }
            }
            Tensor at = Tensor.of(index, (long) side * side).to(distances.device());
            return distances.indexSelect(0, at).unflatten(0, side, side);
        }
    }
}
