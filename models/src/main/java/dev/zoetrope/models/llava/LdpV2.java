package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * MobileVLM V2's projector, arXiv:2402.03766: two linear layers, averages over 12 x 12 places of the picture, and a
 * convolution that says where a token lies.
 *
 * <p>Axes: B pictures, N features of a square map, D width of the language model.
 */
public final class LdpV2 implements Module {
    private static final long SIDE = 12; // of the map of tokens, whatever the tower's

    private final Module mlp;
    private final Conv2d position;

    public LdpV2(Weights w, int in, int out) {
        mlp = Connector.mlp(w.at("mlp.mlp"), in, out, 2);
        position = new Conv2d(w.at("peg.peg.0"), out, out, 3, 1, 1, out, true);
    }

    @Override
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            return s.keep(steps(features).get(2));
        }
    }

    /** What the linear layers give {@code [B, N, D]}, its averages and the tokens {@code [B, 144, D]}. */
    public List<Tensor> steps(Tensor features) {
        Tensor x = mlp.forward(features);
        Tensor pooled = Functional.adaptiveAvgPool2d(Ldp.map(x), SIDE, SIDE); // [B, D, 12, 12]
        Tensor y = pooled.add(position.forward(pooled));
        return List.of(x, Ldp.tokens(pooled), Ldp.tokens(y));
    }
}
