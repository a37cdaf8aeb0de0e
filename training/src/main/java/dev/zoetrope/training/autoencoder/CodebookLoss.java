package dev.zoetrope.training.autoencoder;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * What ties latents and codes together, arXiv:1711.00937: latents move to their codes, and codes, less, to the latents
 * that chose them. In the paper the latents are those that move less; published models of latent diffusion were trained
 * the other way round.
 *
 * @param beta weight of the codes' part, 0.25 in published recipes
 */
public record CodebookLoss(double beta) {
    /**
     * @param latents {@code [B, E, h, w]}
     * @param codes nearest ones, like latents
     * @return a number
     */
    public Tensor of(Tensor latents, Tensor codes) {
        try (Scope s = Scope.open()) {
            Tensor ofLatents = codes.detach().sub(latents).square().mean();
            Tensor ofCodes = codes.sub(latents.detach()).square().mean();
            return s.keep(ofLatents.add(ofCodes.mul(beta)));
        }
    }

    /** The codes, whose gradient passes to the latents as if nothing had been rounded. */
    public static Tensor straightThrough(Tensor latents, Tensor codes) {
        try (Scope s = Scope.open()) {
            return s.keep(latents.add(codes.sub(latents).detach()));
        }
    }
}
