package dev.zoetrope.training.autoencoder;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import java.util.List;

/** The two sides of a discriminator in the training of an autoencoder, arXiv:2012.09841. */
public final class AdversarialLoss {
    private static final double LARGEST_WEIGHT = 1e4;
    private static final double EPS = 1e-4;

    private AdversarialLoss() {}

    /** What the autoencoder wants small: made pictures pass for real, a number. */
    public static Tensor ofGenerator(Tensor logitsOfMade) {
        try (Scope s = Scope.open()) {
            return s.keep(logitsOfMade.mean().neg());
        }
    }

    /**
     * How much the adversary weighs so that it pulls on the last layer as strongly as the likelihood does; a number
     * without a history.
     *
     * @param lastLayer weight of the decoder's last convolution
     */
    public static Tensor adaptiveWeight(Tensor likelihood, Tensor generatorLoss, Tensor lastLayer) {
        try (Scope s = Scope.open()) {
            Tensor a = gradient(likelihood, lastLayer);
            Tensor b = gradient(generatorLoss, lastLayer);
            Tensor weight = a.norm(false).div(b.norm(false).add(EPS));
            return s.keep(weight.clamp(0, LARGEST_WEIGHT).detach());
        }
    }

    private static Tensor gradient(Tensor loss, Tensor by) {
        List<Tensor> ones = List.of(Tensor.ones(loss.shape()));
        return Autograd.grad(List.of(loss), ones, List.of(by), true).get(0).detach();
    }

    /** What the discriminator wants small: real above 1, made below -1. */
    public static Tensor hinge(Tensor logitsOfReal, Tensor logitsOfMade) {
        try (Scope s = Scope.open()) {
            return s.keep(half(logitsOfReal.rsub(1).relu(), logitsOfMade.add(1).relu()));
        }
    }

    /** The same by cross-entropy. */
    public static Tensor vanilla(Tensor logitsOfReal, Tensor logitsOfMade) {
        try (Scope s = Scope.open()) {
            return s.keep(half(logitsOfReal.neg().softplus(), logitsOfMade.softplus()));
        }
    }

    private static Tensor half(Tensor ofReal, Tensor ofMade) {
        return ofReal.mean().add(ofMade.mean()).mul(0.5);
    }

    /**
     * Both sides in one loss, a number: the autoencoder's is handed to its pictures as a gradient, so that the
     * discriminator's weights follow their own side alone.
     *
     * @param pictures {@code [B, 3, H, W]}
     * @param made of them, with a history
     * @param likelihood what else the autoencoder makes small
     * @param lastLayer weight of the decoder's last convolution
     * @param weight of the autoencoder's side
     */
    public static Tensor both(
            PatchDiscriminator d,
            Tensor pictures,
            Tensor made,
            Tensor likelihood,
            Tensor lastLayer,
            double weight,
            Metrics metrics) {
        Tensor generator = ofGenerator(d.forward(made));
        Tensor adaptive = adaptiveWeight(likelihood, generator, lastLayer);
        Tensor pull = Autograd.grad(List.of(generator), List.of(Tensor.ones(generator.shape())), List.of(made), true)
                .get(0)
                .detach();
        Tensor ofAutoencoder = made.mul(pull).sum().mul(adaptive).mul(weight);
        Tensor ofCritic = hinge(d.forward(pictures), d.forward(made.detach()));
        metrics.add("discriminator", ofCritic.item());
        metrics.add("adaptive_weight", adaptive.item());
        return ofAutoencoder.add(ofCritic);
    }
}
