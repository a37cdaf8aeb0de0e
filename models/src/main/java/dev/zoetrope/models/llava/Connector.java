package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * From a picture's features to tokens of the language model, {@code [B, N, V] -> [B, N', D]}.
 *
 * <p>Axes: B pictures, N features, V width of the tower, D width of the language model.
 */
public final class Connector {
    private static final Pattern MLP = Pattern.compile("mlp(\\d+)x_gelu");

    private Connector() {}

    /**
     * The connector that a release names.
     *
     * @param config where the name stands under {@code key}, and what the kind needs besides
     * @param w where its tensors lie
     */
    public static Module of(Json config, String key, Weights w, int in, int out) {
        String kind = config.get(key, "linear");
        Matcher mlp = MLP.matcher(kind);
        if (mlp.matches()) {
            return mlp(w, in, out, Integer.parseInt(mlp.group(1)));
        }
        return switch (kind) {
            case "linear" -> new Linear(w, in, out);
            case "identity" -> x -> x;
            case "ldpnet" -> new Ldp(w, in, out);
            case "ldpnetv2" -> new LdpV2(w, in, out);
            case "resampler" ->
                new Resampler(w, in, out, config.get("num_queries", 128), config.get("num_resampler_layers", 3));
            case "qformer" -> new QueryFormer(config.at("qformer"), w, in, out, config.get("num_queries", 128));
            default ->
                throw config.unsupported(
                        key, "linear, mlp2x_gelu (or another number), ldpnet, ldpnetv2, resampler, qformer, identity");
        };
    }

    /** Linear layers with GELU between them, under the names 0, 2, 4 ... */
    static Module mlp(Weights w, int in, int out, int layers) {
        List<Linear> all = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            all.add(new Linear(w.at(2 * i), i == 0 ? in : out, out));
        }
        return chain(all, Act.GELU);
    }

    /** Two linear layers under the names of llava-hf. */
    static Module published(Weights w, int in, int out, Act act, boolean bias) {
        return chain(
                List.of(new Linear(w.at("linear_1"), in, out, bias), new Linear(w.at("linear_2"), out, out, bias)),
                act);
    }

    private static Module chain(List<Linear> layers, Act act) {
        return x -> {
            try (Scope s = Scope.open()) {
                Tensor y = layers.get(0).forward(x);
                for (Linear next : layers.subList(1, layers.size())) {
                    y = next.forward(act.of(y));
                }
                return s.keep(y);
            }
        };
    }
}
