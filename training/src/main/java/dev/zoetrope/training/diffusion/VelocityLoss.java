package dev.zoetrope.training.diffusion;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * Mean square error of v = alpha noise - sigma x_0, arXiv:2202.00512, on a table of any origin. It is also what
 * CogVideoX's error comes to, that of x_0 recovered from v, weighted by 1 / (1 - acp).
 */
public final class VelocityLoss {
    private final double[] alphasCumprod;

    /** @param alphasCumprod acp = alpha^2 of each timestep */
    public VelocityLoss(double... alphasCumprod) {
        this.alphasCumprod = alphasCumprod.clone();
    }

    /**
     * @param clean {@code [B, ...]}
     * @param noise standard normal, like clean
     * @param timesteps {@code [B]} INT64
     * @return a number
     */
    public Tensor of(Denoiser network, Tensor clean, Tensor noise, Tensor timesteps) {
        try (Scope s = Scope.open()) {
            Rows row = new Rows(timesteps.toLongs(), clean);
            Tensor alpha = row.of(t -> Math.sqrt(alphasCumprod[t]));
            Tensor sigma = row.of(t -> Math.sqrt(1 - alphasCumprod[t]));
            Tensor answer = network.forward(clean.mul(alpha).add(noise.mul(sigma)), timesteps);
            Tensor velocity = noise.mul(alpha).sub(clean.mul(sigma));
            return s.keep(answer.sub(velocity).square().mean());
        }
    }
}
