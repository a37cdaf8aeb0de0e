package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** The feed-forward layer of a block, {@code [..., D] -> [..., D]}. */
final class SamMlp implements Module {
    private final Linear up;
    private final Linear down;
    private final Act activation;

    SamMlp(Weights w, int dim, int hidden, Act activation) {
        up = new Linear(w.at("lin1"), dim, hidden);
        down = new Linear(w.at("lin2"), hidden, dim);
        this.activation = activation;
    }

    @Override
    public Tensor forward(Tensor x) {
        try (Scope s = Scope.open()) {
            return s.keep(down.forward(activation.of(up.forward(x))));
        }
    }
}
