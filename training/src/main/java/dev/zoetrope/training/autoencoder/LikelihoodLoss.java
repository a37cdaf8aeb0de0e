package dev.zoetrope.training.autoencoder;

import dev.zoetrope.models.vae.Posterior;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * The loss of a variational autoencoder as latent diffusion trains it, arXiv:2112.10752: absolute errors under a Laplace
 * distribution of learned width, summed over each picture, and the posterior's divergence.
 *
 * @param klWeight of the divergence, tiny in published recipes: it keeps latents small without making them noise
 */
public record LikelihoodLoss(double klWeight) {
    /** Numbers: the loss, and the mean absolute error, negative log likelihood and divergence that it is made of. */
    public record Parts(Tensor loss, Tensor error, Tensor likelihood, Tensor divergence) {}

    /**
     * @param pictures {@code [B, 3, H, W]}
     * @param reconstructed like pictures
     * @param logVariance a number, learned or 0
     */
    public Parts of(Tensor pictures, Tensor reconstructed, Posterior posterior, Tensor logVariance) {
        double batch = pictures.size(0);
        try (Scope s = Scope.open()) {
            Tensor errors = pictures.sub(reconstructed).abs();
            Tensor likelihood =
                    errors.div(logVariance.exp()).add(logVariance).sum().div(batch);
            Tensor divergence = posterior.divergence().sum().div(batch);
            return new Parts(
                    s.keep(likelihood.add(divergence.mul(klWeight))),
                    s.keep(errors.mean()),
                    s.keep(likelihood),
                    s.keep(divergence));
        }
    }
}
