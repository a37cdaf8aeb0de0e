package dev.zoetrope.training.diffusion;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * Rectified flow, arXiv:2403.03206: at {@code x = (1 - sigma) x_0 + sigma noise} the network learns {@code noise - x_0}.
 *
 * @param weighting of the errors by sigma
 * @param timesteps the network is asked with this many times sigma
 */
public record FlowLoss(Weighting weighting, double timesteps) {
    /** How errors count along the way. */
    public enum Weighting {
        /** All the same; sigmas are drawn where they matter. */
        LOGIT_NORMAL,
        /** 2 / (pi (1 - 2 sigma + 2 sigma^2)). */
        COSMAP;

        public static Weighting of(String name) {
            return switch (name) {
                case "logit_normal", "none" -> LOGIT_NORMAL;
                case "cosmap" -> COSMAP;
                default ->
                    throw new UserError(
                            "weighting '" + name + "' is not supported; supported: logit_normal, none, cosmap");
            };
        }

        Tensor of(Tensor sigmas) {
            return switch (this) {
                case LOGIT_NORMAL -> Tensor.ones(sigmas.shape());
                case COSMAP ->
                    sigmas.mul(-2.0)
                            .add(sigmas.square().mul(2.0))
                            .add(1)
                            .mul(Math.PI)
                            .reciprocal()
                            .mul(2.0);
            };
        }
    }

    public static final FlowLoss DEFAULT = new FlowLoss(Weighting.LOGIT_NORMAL, 1000);

    /** A sigma moved towards the noise, as larger samples need it. */
    public static Tensor shifted(Tensor sigmas, double shift) {
        return sigmas.mul(shift).div(sigmas.mul(shift - 1).add(1));
    }

    /**
     * @param clean {@code [B, C, ...]}
     * @param noise standard normal, like clean
     * @param sigmas {@code [B]}, 0 for clean to 1 for noise
     * @return a number
     */
    public Tensor of(Denoiser network, Tensor clean, Tensor noise, Tensor sigmas) {
        try (Scope s = Scope.open()) {
            Tensor sigma = Rows.perSample(sigmas, clean);
            Tensor noisy = clean.mul(sigma.rsub(1)).add(noise.mul(sigma));
            Tensor answer = network.forward(noisy, sigmas.mul(timesteps));
            Tensor errors = answer.sub(noise.sub(clean)).square();
            return s.keep(errors.mul(weighting.of(sigma)).mean());
        }
    }
}
