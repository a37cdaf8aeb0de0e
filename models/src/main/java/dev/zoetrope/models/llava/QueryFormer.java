package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.blip2.QFormer;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * TinyLLaVA's Q-Former: BLIP-2's (arXiv:2301.12597) with queries alone, whose first norm has no weights.
 *
 * <p>Axes: B pictures, N features, V their width, Q queries, H hidden_size, D width of the language model.
 */
final class QueryFormer implements Module {
    private final Tensor queries;
    private final QFormer qformer;
    private final Linear projector;

    /**
     * @param config of the Q-Former; where it says nothing, that of bert-base-uncased
     * @param in V
     * @param out D
     * @param count Q
     */
    QueryFormer(Json config, Weights w, int in, int out, int count) {
        QFormer.Config c = config(config, in);
        queries = w.tensor("query_tokens", Init.normal(c.deviation()), 1, count, c.hidden());
        qformer = new QFormer(c, w.at("bert"), LayerNorm.plain(c.hidden(), c.eps()), "self");
        projector = new Linear(w.at("projector"), c.hidden(), out);
    }

    private static QFormer.Config config(Json j, int features) {
        return new QFormer.Config(
                j.get("vocab_size", 30522),
                j.get("hidden_size", 768),
                j.get("num_hidden_layers", 12),
                j.get("num_attention_heads", 12),
                j.get("intermediate_size", 3072),
                j.get("max_position_embeddings", 512),
                j.get("hidden_act", Act.GELU, Act::of),
                j.get("layer_norm_eps", 1e-12),
                j.get("cross_attention_freq", 2),
                features,
                false,
                j.get("hidden_dropout_prob", 0.1),
                j.get("initializer_range", 0.02));
    }

    /** {@code [B, N, V] -> [B, Q, D]}. */
    @Override
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            Tensor asking = queries.expand(features.size(0), -1, -1); // [B, Q, H]
            return s.keep(projector.forward(qformer.forward(asking, null, null, features)));
        }
    }
}
