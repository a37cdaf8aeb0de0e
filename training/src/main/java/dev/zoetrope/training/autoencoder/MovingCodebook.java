package dev.zoetrope.training.autoencoder;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * A codebook that follows the latents by moving averages and not by gradients, arXiv:1906.00446: how many latents choose
 * a code, and their sum. K codes of width E.
 */
public final class MovingCodebook implements AutoCloseable {
    private final double decay;
    private final double eps;
    private final Tensor codes; // [K, E]
    private final Tensor sizes; // [K]
    private final Tensor sums; // [K, E]

    /**
     * @param initial codes {@code [K, E]}, copied
     * @param decay of the averages
     * @param eps what keeps codes that nobody chooses from a division by zero
     */
    public MovingCodebook(Tensor initial, double decay, double eps) {
        Check.between(0, 1, decay, "decay");
        this.decay = decay;
        this.eps = eps;
        codes = Scope.detach(initial.detach().copy());
        sums = Scope.detach(initial.detach().copy());
        sizes = Scope.detach(Tensor.ones(initial.size(0)));
    }

    /** What the latents chose before the codes moved, {@code [N]} INT64, and how far they were from it on the mean. */
    public record Step(Tensor indices, Tensor commitment) {}

    /** @param latents {@code [N, E]} */
    public Step update(Tensor latents) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor distances = latents.square()
                    .sum(true, 1)
                    .add(codes.square().sum(1))
                    .sub(latents.matmul(codes.transpose(0, 1)).mul(2.0)); // [N, K]
            Tensor indices = distances.argmin(1);
            Tensor commitment =
                    latents.sub(Functional.embedding(indices, codes)).square().mean();
            Tensor chosen = indices.unsqueeze(1)
                    .eq(Tensor.arange(codes.size(0)).unsqueeze(0))
                    .to(DType.FLOAT32); // [N, K]
            sizes.lerpInPlace(chosen.sum(0), 1 - decay);
            sums.lerpInPlace(chosen.transpose(0, 1).matmul(latents), 1 - decay);
            double all = sizes.sum().item();
            Tensor smoothed = sizes.add(eps).mul(all / (all + codes.size(0) * eps));
            codes.copyInPlace(sums.div(smoothed.unsqueeze(1)));
            return new Step(s.keep(indices), s.keep(commitment));
        }
    }

    /** The codes as they are now, {@code [K, E]}; they move on with the next update. */
    public Tensor codes() {
        return codes;
    }

    /** The average number of latents that choose a code, {@code [K]}. */
    public Tensor sizes() {
        return sizes;
    }

    /** The average sum of the latents that choose a code, {@code [K, E]}. */
    public Tensor sums() {
        return sums;
    }

    @Override
    public void close() {
        codes.close();
        sizes.close();
        sums.close();
    }
}
