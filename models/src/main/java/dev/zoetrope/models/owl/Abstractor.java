package dev.zoetrope.models.owl;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The visual abstractor of mPLUG-Owl, arXiv:2304.14178: learned queries summarise a picture's features in a few tokens of
 * the language model.
 *
 * <p>Axes: I pictures, F features of a picture, V hidden_size, Q queries, D width of the language model.
 */
public final class Abstractor {
    /** Of the norms around attention; the one inside the feed-forward layer takes the configuration's. */
    private static final double EPS = 1e-5;

    /**
     * @param hidden V
     * @param features width of the picture's features, which is V
     * @param intermediate width inside the feed-forward layers
     * @param deviation of the initial weights
     */
    public record Config(
            int hidden, int layers, int heads, int intermediate, int features, double eps, double deviation) {
        public Config {
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            Config c = new Config(
                    j.get("hidden_size", 1024),
                    j.get("num_hidden_layers", 6),
                    j.get("num_attention_heads", 16),
                    j.requireInt("intermediate_size"), // members of the family differ, and so do their defaults
                    j.get("encoder_hidden_size", 1024),
                    j.get("layer_norm_eps", 1e-6),
                    j.get("initializer_range", 0.02));
            if (c.features != c.hidden) { // features and queries are one row
                throw j.unsupported("encoder_hidden_size", "hidden_size, " + c.hidden);
            }
            return c;
        }
    }

    private final Tensor queries;
    private final List<Layer> layers;
    private final Linear toWords;
    private final Tensor end;

    /**
     * @param queries {@code [1, Q, V]}
     * @param width D
     */
    public Abstractor(Config c, Weights published, Tensor queries, int width) {
        Weights w = published.initialised(Owl.initial(c.deviation));
        this.queries = queries;
        layers = w.at("encoder.layers").stack(c.layers, at -> new Layer(c, at.at("crossattention")));
        toWords = new Linear(w.at("visual_fc"), c.hidden, width);
        end = w.tensor("vit_eos", 1, 1, width);
    }

    /** Tokens of the language model, the last of which says that the picture ends: {@code [I, F, V] -> [I, Q + 1, D]}. */
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            return s.keep(words(summarised(features)));
        }
    }

    /** What the queries hold in the end, {@code [I, F, V] -> [I, Q, V]}. */
    public Tensor summarised(Tensor features) {
        try (Scope s = Scope.open()) {
            List<Tensor> all = hiddenStates(features);
            return s.keep(all.get(all.size() - 1));
        }
    }

    /** {@code [I, Q, V] -> [I, Q + 1, D]}. */
    public Tensor words(Tensor summarised) {
        try (Scope s = Scope.open()) {
            return s.keep(Tensor.cat(1, toWords.forward(summarised), end.expand(summarised.size(0), -1, -1)));
        }
    }

    /** What goes into the first layer, then what comes out of each, {@code [I, Q, V]}. */
    public List<Tensor> hiddenStates(Tensor features) {
        List<Tensor> r = new ArrayList<>(List.of(queries.expand(features.size(0), -1, -1)));
        for (Layer layer : layers) {
            r.add(layer.forward(r.get(r.size() - 1), features));
        }
        return r;
    }

    /** What the heads of one layer gather for the queries, before it is projected, {@code [I, Q, V]}. */
    public Tensor gathered(int layer, Tensor queries, Tensor features) {
        try (Scope s = Scope.open()) {
            Layer l = layers.get(layer);
            return s.keep(l.gather(l.norm1.forward(queries), features));
        }
    }

    private static final class Layer {
        private final LayerNorm norm1;
        private final LayerNorm normk;
        private final Linear query;
        private final Linear key;
        private final Linear value;
        private final Linear output;
        private final LayerNorm norm2;
        private final Linear gate;
        private final Linear up;
        private final LayerNorm inner;
        private final Linear down;
        private final int heads;

        Layer(Config c, Weights w) {
            int hidden = c.hidden;
            Weights a = w.at("attention");
            query = new Linear(a.at("query"), hidden, hidden);
            key = new Linear(a.at("key"), c.features, hidden);
            value = new Linear(a.at("value"), c.features, hidden);
            Weights o = w.at("output");
            output = new Linear(o.at("out_proj"), hidden, hidden);
            norm2 = new LayerNorm(o.at("norm2"), hidden, EPS);
            gate = new Linear(o.at("mlp.w1"), hidden, c.intermediate);
            down = new Linear(o.at("mlp.w2"), c.intermediate, hidden);
            up = new Linear(o.at("mlp.w3"), hidden, c.intermediate);
            inner = new LayerNorm(o.at("mlp.ffn_ln"), c.intermediate, c.eps);
            norm1 = new LayerNorm(w.at("norm1"), hidden, EPS);
            normk = new LayerNorm(w.at("normk"), hidden, EPS);
            heads = c.heads;
        }

        Tensor forward(Tensor x, Tensor features) {
            try (Scope s = Scope.open()) {
                Tensor q = norm1.forward(x);
                // There is no way around the first norm: weights were trained so.
                Tensor h = q.add(output.forward(gather(q, features)));
                return s.keep(h.add(feed(norm2.forward(h))));
            }
        }

        /** {@code q [I, Q, V]} from itself and the features. */
        Tensor gather(Tensor q, Tensor features) {
            Tensor context = Tensor.cat(1, q, normk.forward(features)); // [I, Q + F, V]
            Tensor y = Functional.attention(
                    Heads.split(query.forward(q), heads),
                    Heads.split(key.forward(context), heads),
                    Heads.split(value.forward(context), heads),
                    null,
                    false,
                    null);
            return Heads.merge(y);
        }

        private Tensor feed(Tensor x) {
            return down.forward(inner.forward(gate.forward(x).silu().mul(up.forward(x))));
        }
    }
}
