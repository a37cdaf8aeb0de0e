package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Layers of long short-term memory, one upon the other, names as in PyTorch: {@code [L, B, D] -> [L, B, D]}. */
public final class Lstm implements Module {
    private final List<Tensor> weights = new ArrayList<>();

    /** @param width D, of what comes in and of the states */
    public Lstm(Weights w, long width, int layers) {
        Init init = Init.uniform(1 / Math.sqrt(width));
        for (int i = 0; i < layers; i++) {
            weights.add(w.tensor("weight_ih_l" + i, init, 4 * width, width));
            weights.add(w.tensor("weight_hh_l" + i, init, 4 * width, width));
            weights.add(w.tensor("bias_ih_l" + i, init, 4 * width));
            weights.add(w.tensor("bias_hh_l" + i, init, 4 * width));
        }
    }

    @Override
    public Tensor forward(Tensor x) {
        return Functional.lstm(x, weights);
    }
}
