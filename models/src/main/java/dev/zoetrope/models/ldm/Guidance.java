package dev.zoetrope.models.ldm;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * Guidance without a classifier, arXiv:2207.12598: away from what the network predicts without the condition.
 *
 * @param scale 1 is the conditional prediction itself; up to that nothing is guided
 * @param rescale how much of the result is brought back to the spread of the conditional prediction, arXiv:2305.08891
 */
public record Guidance(double scale, double rescale) {
    public boolean isOn() {
        return scale > 1;
    }

    /** @param both unconditional predictions, then conditional ones, {@code [2 B, ...]} */
    public Tensor of(Tensor both) {
        try (Scope s = Scope.open()) {
            List<Tensor> halves = both.chunk(2, 0);
            Tensor free = halves.get(0);
            Tensor steered = halves.get(1);
            Tensor guided = free.add(steered.sub(free).mul(scale));
            return s.keep(rescale == 0 ? guided : rescaled(guided, steered));
        }
    }

    private Tensor rescaled(Tensor guided, Tensor steered) {
        Tensor ratio = spread(steered).div(spread(guided));
        return guided.mul(ratio).mul(rescale).add(guided.mul(1 - rescale));
    }

    private static Tensor spread(Tensor x) { // of each sample, [B, 1, ...]
        int[] axes = new int[x.dim() - 1];
        for (int i = 0; i < axes.length; i++) {
            axes[i] = i + 1;
        }
        return x.std(true, true, axes);
    }
}
