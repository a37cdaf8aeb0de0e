package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Two linear layers with an activation between, which turn features of a time into what a network is steered by. */
public final class TimeEmbedding implements Module {
    private final Linear up;
    private final Act act;
    private final Linear down;

    public TimeEmbedding(Weights w, long in, long width, Act act) {
        up = new Linear(w.at("linear_1"), in, width);
        down = new Linear(w.at("linear_2"), width, width);
        this.act = act;
    }

    /** {@code [B, in] -> [B, width]}, in the type of the weights. */
    @Override
    public Tensor forward(Tensor features) {
        try (Scope s = Scope.open()) {
            return s.keep(Steps.run(features.to(up.weight().dtype()), up, act::of, down));
        }
    }
}
