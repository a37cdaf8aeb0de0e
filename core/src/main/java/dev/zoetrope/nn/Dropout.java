package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Zeroes each element with probability {@code p} and scales the rest by 1 / (1 - p), inside a {@link TrainingScope};
 * the identity outside. arXiv:1207.0580.
 *
 * @param p in [0, 1)
 */
public record Dropout(double p) implements Module {
    public Dropout {
        Check.between(0, Math.nextDown(1.), p, "dropout");
    }

    @Override
    public Tensor forward(Tensor x) {
        TrainingScope training = TrainingScope.current();
        if (training == null || p == 0) {
            return x;
        }
        try (Scope s = Scope.open()) {
            Tensor kept = training.random().uniform(x.shape()).ge(p).to(x.device());
            return s.keep(x.mul(kept.to(x.dtype()).mul(1 / (1 - p))));
        }
    }
}
