package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Two linear layers with an activation between: {@code [..., in] -> [..., hidden] -> [..., out]}. */
public final class Mlp implements Module {
    private final Linear up;
    private final Act act;
    private final Linear down;

    public Mlp(Linear up, Act act, Linear down) {
        this.up = up;
        this.act = act;
        this.down = down;
    }

    /** {@code net.0.proj} and {@code net.2}, as diffusion transformers call the feed-forward layer of a block. */
    public static Mlp feedForward(Weights w, long dim, long hidden, Act act) {
        return new Mlp(new Linear(w.at("net.0.proj"), dim, hidden), act, new Linear(w.at("net.2"), hidden, dim));
    }

    @Override
    public Tensor forward(Tensor x) {
        try (Scope s = Scope.open()) {
            return s.keep(down.forward(act.of(up.forward(x))));
        }
    }
}
