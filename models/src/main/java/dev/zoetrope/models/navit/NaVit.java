package dev.zoetrope.models.navit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A transformer over patches of clips of any length, resolution and aspect ratio, packed into rows, arXiv:2307.06304: a
 * token attends to those of its own clip only, so a clip's answer does not depend on what lies beside it.
 *
 * <p>Axes: C channels, F x H x W frames, rows and columns of a clip, N = (F / f) (H / h) (W / w) patches, R rows of T
 * tokens, D hidden size.
 */
public final class NaVit implements AutoCloseable {
    private static final double EPS = 1e-5;

    /**
     * @param patch frames, rows and columns of a patch
     * @param positions most patches of a clip along each of these
     */
    public record Config(
            int channels, List<Integer> patch, int hidden, int heads, int mlp, int layers, List<Integer> positions) {
        public Config {
            patch = List.copyOf(patch);
            positions = List.copyOf(positions);
            Check.equal(3, patch.size(), "3", "the numbers of patch");
            Check.equal(3, positions.size(), "3", "the numbers of positions");
            Check.divides(heads, hidden, "heads", "hidden");
            Check.positive(mlp, "mlp");
        }

        public static Config of(Json j) {
            return new Config(
                    j.get("channels", 3),
                    list(j, "patch", 1, 16, 16),
                    j.get("hidden", 384),
                    j.get("heads", 6),
                    j.get("mlp", 1536),
                    j.get("layers", 12),
                    list(j, "positions", 32, 64, 64));
        }

        private static List<Integer> list(Json j, String key, int... absent) {
            return Arrays.stream(j.get(key, absent)).boxed().toList();
        }

        int patchValues() {
            return channels * patch.get(0) * patch.get(1) * patch.get(2);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Linear embed;
    private final List<Tensor> positions;
    private final List<Block> blocks;
    private final LayerNorm norm;
    private final Linear head;

    public NaVit(Config c, Weights w) {
        weights = w;
        config = c;
        embed = new Linear(w.at("embed"), c.patchValues(), c.hidden);
        List<Tensor> tables = new ArrayList<>();
        for (int axis = 0; axis < 3; axis++) {
            String name = List.of("pos_t", "pos_h", "pos_w").get(axis);
            tables.add(w.tensor(name, Init.normal(0.02), c.positions.get(axis), c.hidden));
        }
        positions = List.copyOf(tables);
        blocks = w.at("blocks").stack(c.layers, at -> new Block(c, at));
        norm = new LayerNorm(w.at("norm"), c.hidden, EPS);
        head = new Linear(w.at("head"), c.hidden, c.patchValues());
    }

    public static NaVit load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new NaVit(Config.of(json), w));
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    /** How many patches a clip {@code [C, F, H, W]} has. */
    public int tokens(Tensor clip) {
        return patches(clip, 0) * patches(clip, 1) * patches(clip, 2);
    }

    private int patches(Tensor clip, int axis) {
        String name = List.of("frames", "height", "width").get(axis);
        Check.shape(clip.shape(), "clip", config.channels, -1, -1, -1);
        Check.divides(config.patch.get(axis), clip.size(axis + 1), "patch", name + " of a clip");
        int n = (int) clip.size(axis + 1) / config.patch.get(axis);
        Check.atMost(config.positions.get(axis), n, "positions", "patches along the " + name + " of a clip");
        return n;
    }

    /**
     * @param clips {@code [C, F, H, W]} each, of any sizes
     * @param packing of their {@link #tokens}
     * @return of each clip {@code [N, patch values]}, a patch as (channel, frame, row, column)
     */
    public List<Tensor> forward(List<Tensor> clips, Packing packing) {
        Check.equal(clips.size(), packing.places().size(), "number of clips", "places of the packing");
        try (Scope s = Scope.open()) {
            Tensor x = packed(clips, packing); // [R, T, D]
            Tensor segments = packing.segments().to(x.device());
            Tensor same = segments.unsqueeze(2).eq(segments.unsqueeze(1)).unsqueeze(1); // [R, 1, T, T]
            for (Block block : blocks) {
                x = s.replace(x, block.forward(x, same));
            }
            Tensor y = head.forward(norm.forward(x));
            List<Tensor> r = new ArrayList<>();
            for (Packing.Place p : packing.places()) {
                r.add(s.keep(y.select(0, p.row()).narrow(0, p.offset(), p.tokens())));
            }
            return r;
        }
    }

    /** Embedded patches with their places in time and space, each clip where the packing says. */
    private Tensor packed(List<Tensor> clips, Packing packing) {
        long width = config.hidden;
        List<List<Tensor>> rows = new ArrayList<>();
        int[] filled = new int[packing.rows()];
        for (int r = 0; r < packing.rows(); r++) {
            rows.add(new ArrayList<>());
        }
        for (int i : inOrder(packing)) {
            Packing.Place p = packing.places().get(i);
            rows.get(p.row()).add(embedded(clips.get(i)));
            filled[p.row()] += p.tokens();
        }
        List<Tensor> all = new ArrayList<>();
        for (int r = 0; r < packing.rows(); r++) {
            int rest = packing.rowTokens() - filled[r];
            if (rest > 0) {
                rows.get(r).add(Tensor.zeros(rest, width));
            }
            all.add(Tensor.cat(0, rows.get(r)));
        }
        return Tensor.stack(0, all);
    }

    /** Clips from the left of a row to its right. */
    private static List<Integer> inOrder(Packing packing) {
        List<Integer> r = new ArrayList<>();
        for (int i = 0; i < packing.places().size(); i++) {
            r.add(i);
        }
        r.sort((a, b) ->
                packing.places().get(a).offset() - packing.places().get(b).offset());
        return r;
    }

    private Tensor embedded(Tensor clip) {
        try (Scope s = Scope.open()) {
            int f = patches(clip, 0);
            int h = patches(clip, 1);
            int w = patches(clip, 2);
            Tensor values = clip.unflatten(3, w, -1)
                    .unflatten(2, h, -1)
                    .unflatten(1, f, -1) // [C, F/f, f, H/h, h, W/w, w]
                    .permute(1, 3, 5, 0, 2, 4, 6)
                    .flatten(3)
                    .flatten(0, 2); // [N, patch values]
            Tensor place = positions
                    .get(0)
                    .narrow(0, 0, f)
                    .reshape(f, 1, 1, -1)
                    .add(positions.get(1).narrow(0, 0, h).reshape(1, h, 1, -1))
                    .add(positions.get(2).narrow(0, 0, w).reshape(1, 1, w, -1))
                    .flatten(0, 2); // [N, D]
            return s.keep(embed.forward(values).add(place));
        }
    }

    /** Attention within each clip, then the MLP. */
    private static final class Block {
        private final LayerNorm attentionNorm;
        private final Linear qkv;
        private final Linear proj;
        private final LayerNorm mlpNorm;
        private final Mlp mlp;
        private final int heads;

        Block(Config c, Weights w) {
            heads = c.heads;
            attentionNorm = new LayerNorm(w.at("norm1"), c.hidden, EPS);
            qkv = new Linear(w.at("qkv"), c.hidden, 3L * c.hidden);
            proj = new Linear(w.at("proj"), c.hidden, c.hidden);
            mlpNorm = new LayerNorm(w.at("norm2"), c.hidden, EPS);
            mlp = new Mlp(new Linear(w.at("fc1"), c.hidden, c.mlp), Act.GELU, new Linear(w.at("fc2"), c.mlp, c.hidden));
        }

        Tensor forward(Tensor x, Tensor mask) { // [R, T, D]
            try (Scope s = Scope.open()) {
                List<Tensor> parts = qkv.forward(attentionNorm.forward(x)).chunk(3, -1);
                Tensor y = Functional.attention(
                        Heads.split(parts.get(0), heads),
                        Heads.split(parts.get(1), heads),
                        Heads.split(parts.get(2), heads),
                        mask,
                        false,
                        null);
                Tensor h = x.add(proj.forward(Heads.merge(y)));
                return s.keep(h.add(mlp.forward(mlpNorm.forward(h))));
            }
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
