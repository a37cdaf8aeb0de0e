package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Attention;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * TinyLLaVA's Q-Former: BLIP-2's (arXiv:2301.12597) with queries alone, whose first norm has no weights.
 *
 * <p>Axes: B pictures, N features, Q queries, H hidden_size.
 */
final class QueryFormer implements Module {
    /**
     * @param crossEvery each how many layers the queries look at the features, from the first on
     */
    record Config(int hidden, int layers, int heads, int intermediate, double eps, Act activation, int crossEvery) {
        Config {
            Check.positive(layers, "num_hidden_layers");
            Check.positive(crossEvery, "cross_attention_freq");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        /** Where nothing is said, those of bert-base-uncased. */
        static Config of(Json j) {
            return new Config(
                    j.get("hidden_size", 768),
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("intermediate_size", 3072),
                    j.get("layer_norm_eps", 1e-12),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("cross_attention_freq", 2));
        }
    }

    private final Tensor queries;
    private final LayerNorm norm;
    private final List<Layer> layers = new ArrayList<>();
    private final Linear projector;

    QueryFormer(Config c, Weights w, int in, int out, int count) {
        queries = w.tensor("query_tokens", Init.normal(0.02), 1, count, c.hidden);
        norm = LayerNorm.plain(c.hidden, c.eps);
        Weights blocks = w.at("bert.encoder.layer");
        for (int i = 0; i < c.layers; i++) {
            layers.add(new Layer(c, blocks.at(i), in, i % c.crossEvery == 0));
        }
        projector = new Linear(w.at("projector"), c.hidden, out);
    }

    @Override
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            Tensor x = norm.forward(queries).expand(features.size(0), -1, -1); // [B, Q, H]
            for (Layer layer : layers) {
                x = layer.forward(x, features);
            }
            return s.keep(projector.forward(x));
        }
    }

    /** Each part's output is added to what came in and normalised. */
    private static final class Layer {
        private final Part self;
        private final @Nullable Part cross;
        private final Linear up;
        private final Linear down;
        private final LayerNorm feedNorm;
        private final Act act;

        Layer(Config c, Weights w, int in, boolean looks) {
            self = new Part(c, w.at("attention"), c.hidden);
            cross = looks ? new Part(c, w.at("crossattention"), in) : null;
            up = new Linear(w.at("intermediate_query.dense"), c.hidden, c.intermediate);
            down = new Linear(w.at("output_query.dense"), c.intermediate, c.hidden);
            feedNorm = new LayerNorm(w.at("output_query.LayerNorm"), c.hidden, c.eps);
            act = c.activation;
        }

        Tensor forward(Tensor x, Tensor features) {
            try (Scope s = Scope.open()) {
                Tensor y = self.forward(x, x);
                if (cross != null) {
                    y = cross.forward(y, features);
                }
                return s.keep(feedNorm.forward(y.add(down.forward(act.of(up.forward(y))))));
            }
        }
    }

    private static final class Part {
        private final Attention attention;
        private final LayerNorm norm;

        Part(Config c, Weights w, int context) {
            attention = new Attention(
                    new Linear(w.at("self.query"), c.hidden, c.hidden),
                    new Linear(w.at("self.key"), context, c.hidden),
                    new Linear(w.at("self.value"), context, c.hidden),
                    new Linear(w.at("output.dense"), c.hidden, c.hidden),
                    c.heads);
            norm = new LayerNorm(w.at("output.LayerNorm"), c.hidden, c.eps);
        }

        Tensor forward(Tensor x, Tensor context) {
            return norm.forward(x.add(attention.forward(x, context, null, false)));
        }
    }
}
