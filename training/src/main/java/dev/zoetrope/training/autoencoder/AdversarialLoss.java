package dev.zoetrope.training.autoencoder;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
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
}
