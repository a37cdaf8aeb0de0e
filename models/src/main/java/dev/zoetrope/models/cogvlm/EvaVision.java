package dev.zoetrope.models.cogvlm;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The eye of CogVLM: EVA2-CLIP-E without its last layer (arXiv:2303.15389), and the gated adapter to the language model.
 * Names as in THUDM/cogvlm-chat-hf ({@code model.vision}).
 *
 * <p>Axes: B pictures, S side of a picture in pixels, P patches, N patches that the language model is given, D hidden,
 * L width of the language model.
 */
public final class EvaVision implements Module {
    private static final double ADAPTER_EPS = 1e-5; // not layer_norm_eps

    /**
     * @param image S
     * @param patch side of a patch
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param merges whether 2 x 2 patches become one: CogVLM2
     * @param out L
     * @param adapter width inside the adapter
     */
    public record Config(
            int image,
            int patch,
            int channels,
            int hidden,
            int layers,
            int heads,
            int intermediate,
            Act activation,
            double eps,
            boolean merges,
            int out,
            int adapter) {
        public Config {
            Check.divides(patch, image, "vision_config.patch_size", "vision_config.image_size");
            Check.positive(channels, "vision_config.in_channels");
            Check.positive(layers, "vision_config.num_hidden_layers");
            Check.positive(intermediate, "vision_config.intermediate_size");
            Check.divides(heads, hidden, "vision_config.num_heads", "vision_config.hidden_size");
            if (merges) {
                Check.divides(2, image / patch, "2", "number of patches in a row of the picture,");
            }
        }

        /** From the whole model's configuration. */
        static Config of(Json model, boolean merges, int out, int adapter) {
            Json j = model.requireAt("vision_config");
            int image = j.get("image_size", 490);
            int patch = j.get("patch_size", 14);
            Config c = new Config(
                    image,
                    patch,
                    j.get("in_channels", 3),
                    j.get("hidden_size", 1792),
                    j.get("num_hidden_layers", 63),
                    j.get("num_heads", 16),
                    j.get("intermediate_size", 15360),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-6),
                    merges,
                    out,
                    adapter);
            Check.equal(
                    j.get("num_positions", c.positions()),
                    c.positions(),
                    "vision_config.num_positions",
                    "the number of patches and the class token,");
            return c;
        }

        /** Patches in a row, and in a column. */
        int side() {
            return image / patch;
        }

        int positions() {
            return side() * side() + 1;
        }

        /** N. */
        public int patches() {
            int side = merges ? side() / 2 : side();
            return side * side;
        }
    }

    private final Config config;
    private final Tensor boi;
    private final Tensor eoi;
    private final Tensor classToken;
    private final Conv2d patches;
    private final Tensor positions;
    private final List<Layer> layers;
    private final Adapter adapter;
    private final @Nullable Conv2d merge;

    public EvaVision(Config c, Weights w) {
        config = c;
        boi = w.tensor("boi", 1, 1, c.out);
        eoi = w.tensor("eoi", 1, 1, c.out);
        Weights e = w.at("patch_embedding");
        classToken = e.tensor("cls_embedding", 1, c.hidden);
        patches = Conv2d.patches(e.at("proj"), c.channels, c.hidden, c.patch);
        positions = e.tensor("position_embedding.weight", c.positions(), c.hidden);
        layers = w.at("transformer.layers").stack(c.layers, l -> new Layer(c, l));
        adapter = new Adapter(c, w.at("linear_proj"));
        merge = c.merges ? new Conv2d(w.at("conv"), c.hidden, c.hidden, 2, 2, 0) : null;
    }

    public Config config() {
        return config;
    }

    /** What the language model is given: learned marks of begin and end around the patches. {@code [B, 1 + N + 1, L]}. */
    @Override
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            Tensor x = embeddings(pixels);
            for (Layer layer : layers) {
                x = s.replace(x, layer.forward(x));
            }
            return s.keep(marked(adapter.forward(projected(x))));
        }
    }

    /** Class token and patches with their positions, {@code [B, 3, S, S] -> [B, 1 + P, D]}. */
    private Tensor embeddings(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, config.channels, config.image, config.image);
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).flatten(2).transpose(1, 2); // [B, P, D]
            return s.keep(Tensor.cat(1, classToken.expand(x.size(0), 1, -1), x).add(positions));
        }
    }

    /** What goes into the first layer, then what comes out of each, {@code [B, 1 + P, D]}. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        List<Tensor> r = new ArrayList<>(List.of(embeddings(pixels)));
        for (Layer layer : layers) {
            r.add(layer.forward(r.get(r.size() - 1)));
        }
        return r;
    }

    /** The attention of a layer alone, {@code [B, 1 + P, D] -> [B, 1 + P, D]}. */
    public Tensor attention(int layer, Tensor hidden) {
        return layers.get(layer).attend(hidden);
    }

    /** What comes out of the last layer, in the language model's width: {@code [B, 1 + P, D] -> [B, N, L]}. */
    public Tensor projected(Tensor hidden) {
        try (Scope s = Scope.open()) {
            Tensor x = hidden.narrow(1, 1, hidden.size(1) - 1); // [B, P, D]
            if (merge != null) {
                Tensor grid = x.transpose(1, 2).unflatten(2, config.side(), config.side()); // [B, D, side, side]
                x = merge.forward(grid).flatten(2).transpose(1, 2); // [B, N, D]
            }
            return s.keep(adapter.in.forward(x));
        }
    }

    private Tensor marked(Tensor patches) {
        long batch = patches.size(0);
        return Tensor.cat(1, boi.expand(batch, 1, -1), patches, eoi.expand(batch, 1, -1));
    }

    /** What comes out of attention and of the feed-forward part is normalised, not what goes in. */
    private static final class Layer implements Module {
        private final LayerNorm attentionNorm;
        private final Linear qkv;
        private final Linear dense;
        private final Mlp mlp;
        private final LayerNorm mlpNorm;
        private final int heads;

        Layer(Config c, Weights w) {
            attentionNorm = new LayerNorm(w.at("input_layernorm"), c.hidden, c.eps);
            qkv = new Linear(w.at("attention.query_key_value"), c.hidden, 3L * c.hidden);
            dense = new Linear(w.at("attention.dense"), c.hidden, c.hidden);
            mlp = new Mlp(
                    new Linear(w.at("mlp.fc1"), c.hidden, c.intermediate),
                    c.activation,
                    new Linear(w.at("mlp.fc2"), c.intermediate, c.hidden));
            mlpNorm = new LayerNorm(w.at("post_attention_layernorm"), c.hidden, c.eps);
            heads = c.heads;
        }

        @Override
        public Tensor forward(Tensor x) {
            try (Scope s = Scope.open()) {
                Tensor h = x.add(attentionNorm.forward(attend(x)));
                return s.keep(h.add(mlpNorm.forward(mlp.forward(h))));
            }
        }

        Tensor attend(Tensor x) {
            try (Scope s = Scope.open()) {
                List<Tensor> parts = qkv.forward(x).chunk(3, -1); // 3 x [B, T, D]
                Tensor q = Heads.split(parts.get(0), heads); // [B, heads, T, D / heads]
                Tensor k = Heads.split(parts.get(1), heads);
                Tensor v = Heads.split(parts.get(2), heads);
                return s.keep(dense.forward(Heads.merge(Functional.attention(q, k, v, null, false, null))));
            }
        }
    }

    private static final class Adapter implements Module {
        private final Linear in;
        private final LayerNorm norm;
        private final Linear up;
        private final Linear gate;
        private final Linear down;

        Adapter(Config c, Weights w) {
            in = new Linear(w.at("linear_proj"), c.hidden, c.out, false);
            norm = new LayerNorm(w.at("norm1"), c.out, ADAPTER_EPS);
            up = new Linear(w.at("dense_h_to_4h"), c.out, c.adapter, false);
            gate = new Linear(w.at("gate_proj"), c.out, c.adapter, false);
            down = new Linear(w.at("dense_4h_to_h"), c.adapter, c.out, false);
        }

        @Override
        public Tensor forward(Tensor projected) { // [B, N, L] -> [B, N, L]
            try (Scope s = Scope.open()) {
                Tensor h = norm.forward(projected).gelu();
                return s.keep(down.forward(gate.forward(h).silu().mul(up.forward(h))));
            }
        }
    }
}
