package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** A feed-forward layer with a gate, arXiv:2002.05202: down(act(gate(x)) * up(x)). */
public final class GatedMlp implements Module {
    private final Linear gate;
    private final Linear up;
    private final Linear down;
    private final Act act;

    public GatedMlp(Weights w, int hidden, int intermediate, boolean bias, Act act) {
        gate = new Linear(w.at("gate_proj"), hidden, intermediate, bias);
        up = new Linear(w.at("up_proj"), hidden, intermediate, bias);
        down = new Linear(w.at("down_proj"), intermediate, hidden, bias);
        this.act = act;
    }

    @Override
    public Tensor forward(Tensor x) {
        try (Scope s = Scope.open()) {
            return s.keep(down.forward(act.of(gate.forward(x)).mul(up.forward(x))));
        }
    }
}
