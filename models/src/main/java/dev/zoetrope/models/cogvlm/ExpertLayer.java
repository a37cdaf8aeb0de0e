package dev.zoetrope.models.cogvlm;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.GatedMlp;
import dev.zoetrope.models.language.Pass;
import dev.zoetrope.nn.Heads;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.RmsNorm;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * A layer of the language model with a visual expert: tokens of pictures have queries, keys, values, output projection and
 * feed-forward part of their own, and all tokens attend to each other.
 *
 * <p>Axes: B rows, T tokens, D width.
 */
final class ExpertLayer {
    private final CogVlm.Config config;
    private final Linear visionQkv;
    private final Linear visionDense;
    private final Linear languageQkv;
    private final Linear languageDense;
    private final GatedMlp languageMlp;
    private final GatedMlp visionMlp;
    private final RmsNorm inputNorm;
    private final RmsNorm attentionNorm;

    ExpertLayer(CogVlm.Config c, Weights w) {
        config = c;
        int hidden = c.attention().hidden();
        long qkv = (c.attention().heads() + 2L * c.attention().keyValueHeads())
                * c.attention().size();
        Weights a = w.at("self_attn");
        visionQkv = new Linear(a.at("vision_expert_query_key_value"), hidden, qkv, c.visionBias());
        visionDense = new Linear(a.at("vision_expert_dense"), hidden, hidden, false);
        languageQkv = new Linear(a.at("language_expert_query_key_value"), hidden, qkv, false);
        languageDense = new Linear(a.at("language_expert_dense"), hidden, hidden, false);
        languageMlp = new GatedMlp(w.at("mlp.language_mlp"), hidden, c.intermediate(), false, c.activation());
        visionMlp = new GatedMlp(w.at("mlp.vision_mlp"), hidden, c.intermediate(), false, c.activation());
        inputNorm = new RmsNorm(w.at("input_layernorm"), hidden, c.eps());
        attentionNorm = new RmsNorm(w.at("post_attention_layernorm"), hidden, c.eps());
    }

    Tensor forward(Tensor x, Pass pass, TokenTypes types) {
        try (Scope s = Scope.open()) {
            Experts experts = Experts.of(types, pass.past(), x);
            Tensor h = x.add(attention(inputNorm.forward(x), pass, experts));
            return s.keep(h.add(mlp(attentionNorm.forward(h), experts)));
        }
    }

    Tensor attention(Tensor x, Pass pass, Experts experts) { // [B, T, D] -> [B, T, D]
        int heads = config.attention().heads();
        int groups = config.attention().keyValueHeads();
        long size = config.attention().size();
        try (Scope s = Scope.open()) {
            List<Tensor> parts =
                    experts.apply(x, visionQkv, languageQkv).split(-1, heads * size, groups * size, groups * size);
            Tensor q = Heads.split(parts.get(0), heads); // [B, heads, T, size]
            Tensor k = Heads.split(parts.get(1), groups); // [B, groups, T, size]
            Tensor v = Heads.split(parts.get(2), groups);
            Tensor y = pass.attend(pass.turn(q), pass.turn(k), v, null);
            return s.keep(experts.apply(Heads.merge(y), visionDense, languageDense));
        }
    }

    Tensor mlp(Tensor x, Experts experts) { // [B, T, D] -> [B, T, D]
        return experts.apply(x, visionMlp, languageMlp);
    }
}
