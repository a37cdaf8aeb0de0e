package dev.zoetrope.models.vae;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/**
 * A normal distribution of latents, independent in every element. Nothing is scaled.
 *
 * @param mean {@code [B, C, h, w]}
 * @param logVariance like the mean, within -30 and 20
 */
public record Posterior(Tensor mean, Tensor logVariance) {
    /** From what an encoder answers, {@code [B, 2 C, h, w]}. */
    static Posterior of(Tensor moments) {
        List<Tensor> halves = moments.chunk(2, 1);
        return new Posterior(halves.get(0), halves.get(1).clamp(-30, 20));
    }

    /** @param noise standard normal, like the mean */
    public Tensor sample(Tensor noise) {
        try (Scope s = Scope.open()) {
            return s.keep(mean.add(logVariance.mul(0.5).exp().mul(noise)));
        }
    }

    /** Divergence from the standard normal distribution, summed over each picture: {@code [B]}. */
    public Tensor divergence() {
        try (Scope s = Scope.open()) {
            Tensor each = mean.square().add(logVariance.exp()).sub(1.0).sub(logVariance);
            return s.keep(each.sum(1, 2, 3).mul(0.5));
        }
    }
}
