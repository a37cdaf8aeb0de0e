package dev.zoetrope.training.diffusion;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/**
 * Noise and its variance learned together, arXiv:2102.09672: the simple loss for the noise, and the variational bound,
 * in bits, for the variance, which the network places between that of the posterior (-1) and beta (1). The bound does
 * not move the noise.
 *
 * <p>The paper's bound is a sum over all T timesteps of which one is drawn, weighted by {@code vbWeight} each; so the one
 * that is drawn weighs {@code T vbWeight}.
 */
public final class HybridLoss {
    private static final double BITS = 1 / Math.log(2);

    /** Half a step of 8-bit pictures in -1..1, and where their outermost steps begin. */
    private static final double HALF_STEP = 1.0 / 255;

    private static final double OUTERMOST = 0.999;
    private static final double LEAST = 1e-12; // of a probability, before its logarithm

    // In double: at t = 0 acp's distance to 1 is all that counts, at the end that between the two variances.
    private final double[] betas;
    private final double[] alphasCumprod;
    private final double boundWeight;

    /**
     * @param betas of all T timesteps
     * @param vbWeight of each term of the bound
     */
    public HybridLoss(double[] betas, double vbWeight) {
        Check.positive(betas.length, "timesteps");
        this.betas = betas.clone();
        this.boundWeight = betas.length * vbWeight;
        alphasCumprod = new double[betas.length];
        double product = 1;
        for (int t = 0; t < betas.length; t++) {
            product *= 1 - betas[t];
            alphasCumprod[t] = product;
        }
    }

    /** With betas that grow linearly, from 0.0001 to 0.02 over a thousand timesteps, as DiT is trained. */
    public static HybridLoss linear(int timesteps, double vbWeight) {
        double scale = 1000.0 / timesteps;
        double[] betas = new double[timesteps];
        for (int t = 0; t < timesteps; t++) {
            betas[t] = scale * (0.0001 + (0.02 - 0.0001) * t / Math.max(1, timesteps - 1));
        }
        return new HybridLoss(betas, vbWeight);
    }

    public int timesteps() {
        return betas.length;
    }

    /** The loss and what it is made of: numbers. */
    public record Parts(Tensor loss, Tensor noise, Tensor bound) {}

    /**
     * @param network answers twice the channels: noise, then the variance's place
     * @param clean {@code [B, C, ...]}
     * @param noise standard normal, like clean
     * @param timesteps {@code [B]} INT64
     */
    public Parts of(Denoiser network, Tensor clean, Tensor noise, Tensor timesteps) {
        try (Scope s = Scope.open()) {
            Rows row = new Rows(timesteps.toLongs(), clean);
            Tensor noisy = clean.mul(row.of(t -> Math.sqrt(alphasCumprod[t])))
                    .add(noise.mul(row.of(t -> Math.sqrt(1 - alphasCumprod[t]))));
            Tensor answer = network.forward(noisy, timesteps);
            long channels = clean.size(1);
            if (answer.size(1) != 2 * channels) {
                throw new UserError("the network answers " + answer.size(1) + " channels; to learn its variance it "
                        + "must answer 2 x " + channels);
            }
            Tensor predicted = answer.narrow(1, 0, channels);
            Tensor place = answer.narrow(1, channels, channels);
            Tensor simple = predicted.sub(noise).square().mean();
            Tensor bound = bound(clean, noisy, predicted.detach(), place, row).mean();
            return new Parts(s.keep(simple.add(bound.mul(boundWeight))), s.keep(simple), s.keep(bound));
        }
    }

    /** One term of the variational bound for each sample, {@code [B]}. */
    private Tensor bound(Tensor clean, Tensor noisy, Tensor noise, Tensor place, Rows row) {
        Tensor predictedClean = noisy.mul(row.of(i -> 1 / Math.sqrt(alphasCumprod[i])))
                .sub(noise.mul(row.of(i -> Math.sqrt(1 / alphasCumprod[i] - 1))));
        Tensor mean = posteriorMean(predictedClean, noisy, row);
        Tensor trueMean = posteriorMean(clean, noisy, row);
        Tensor least = row.of(this::logPosteriorVariance);
        Tensor most = row.of(i -> Math.log(betas[i]));
        Tensor share = place.add(1).mul(0.5);
        Tensor logVariance = share.mul(most).add(share.rsub(1).mul(least));

        Tensor divergence = logVariance
                .sub(least)
                .add(least.sub(logVariance).exp())
                .add(trueMean.sub(mean).square().mul(logVariance.neg().exp()))
                .sub(1)
                .mul(0.5);
        Tensor likelihood = logLikelihood(clean, mean, logVariance);
        Tensor first = row.of(i -> i == 0 ? 1 : 0);
        return Tensor.where(first.gt(0.5), likelihood.neg(), divergence)
                .flatten(1)
                .mean(1)
                .mul(BITS);
    }

    /** Of x_(t-1) given x_t and x_0. */
    private Tensor posteriorMean(Tensor clean, Tensor noisy, Rows row) {
        return clean.mul(row.of(i -> betas[i] * Math.sqrt(before(i)) / (1 - alphasCumprod[i])))
                .add(noisy.mul(row.of(i -> (1 - before(i)) * Math.sqrt(1 - betas[i]) / (1 - alphasCumprod[i]))));
    }

    private double before(int t) {
        return t == 0 ? 1 : alphasCumprod[t - 1];
    }

    /** At t = 0 the variance is 0; the next one stands in for it. */
    private double logPosteriorVariance(int t) {
        int i = Math.max(t, 1);
        return Math.log(betas[i] * (1 - alphasCumprod[i - 1]) / (1 - alphasCumprod[i]));
    }

    /** Of the 8-bit step that a clean value lies in; the outermost steps reach to infinity. */
    private static Tensor logLikelihood(Tensor clean, Tensor mean, Tensor logVariance) {
        Tensor precision = logVariance.mul(-0.5).exp();
        Tensor centred = clean.sub(mean);
        Tensor above = normalBelow(centred.add(HALF_STEP).mul(precision));
        Tensor below = normalBelow(centred.sub(HALF_STEP).mul(precision));
        return Tensor.where(
                clean.lt(-OUTERMOST),
                log(above),
                Tensor.where(clean.gt(OUTERMOST), log(below.rsub(1)), log(above.sub(below))));
    }

    private static Tensor log(Tensor probability) {
        return probability.clamp(LEAST, Double.POSITIVE_INFINITY).log();
    }

    /** The share of a normal distribution below a value, by the approximation that GELU uses too. */
    private static Tensor normalBelow(Tensor x) {
        return x.add(x.pow(3).mul(0.044715))
                .mul(Math.sqrt(2 / Math.PI))
                .tanh()
                .add(1)
                .mul(0.5);
    }
}
