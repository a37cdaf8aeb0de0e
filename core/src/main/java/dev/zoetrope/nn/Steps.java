package dev.zoetrope.nn;

import dev.zoetrope.tensor.Tensor;
import java.util.List;

/** Runs layers one after the other and holds no more than what goes into one and what comes out. */
public final class Steps {
    private Steps() {}

    /** What the last layer makes, owned by the innermost scope; {@code x} stays as it is. */
    public static Tensor run(Tensor x, Module... layers) {
        return run(x, List.of(layers));
    }

    public static Tensor run(Tensor x, List<? extends Module> layers) {
        Tensor y = x;
        for (Module layer : layers) {
            Tensor next = layer.forward(y);
            if (y != x && y != next) {
                y.close();
            }
            y = next;
        }
        return y;
    }
}
