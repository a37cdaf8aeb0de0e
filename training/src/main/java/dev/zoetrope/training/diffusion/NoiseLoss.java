package dev.zoetrope.training.diffusion;

import dev.zoetrope.schedulers.NoiseTable;
import dev.zoetrope.schedulers.Prediction;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import org.jspecify.annotations.Nullable;

/**
 * The simple loss of denoising diffusion, arXiv:2006.11239: mean square error of the noise, or of what the network
 * predicts instead, at a noise level for each sample.
 *
 * @param snrGamma samples weigh {@code min(SNR, gamma)} in terms of x_0, arXiv:2303.09556; null where all weigh the same
 */
public record NoiseLoss(NoiseTable table, Prediction prediction, @Nullable Double snrGamma) {
    public NoiseLoss {
        if (prediction == Prediction.FLOW_PREDICTION) {
            throw new UserError("prediction_type flow_prediction has no noise table; see FlowLoss");
        }
    }

    /**
     * @param clean {@code [B, C, ...]}
     * @param noise standard normal, like clean
     * @param timesteps {@code [B]} INT64
     * @return a number
     */
    public Tensor of(Denoiser network, Tensor clean, Tensor noise, Tensor timesteps) {
        try (Scope s = Scope.open()) {
            Tensor answer = network.forward(table.addNoise(clean, noise, timesteps), timesteps);
            Tensor target =
                    switch (prediction) {
                        case EPSILON -> noise;
                        case SAMPLE -> clean;
                        case V_PREDICTION -> table.velocity(clean, noise, timesteps);
                        case FLOW_PREDICTION -> throw new IllegalStateException();
                    };
            Tensor errors = answer.sub(target).square();
            if (snrGamma == null) {
                return s.keep(errors.mean());
            }
            return s.keep(
                    errors.flatten(1).mean(1).mul(weights(timesteps, snrGamma)).mean());
        }
    }

    /** What an error of the prediction weighs so that one of x_0 weighs min(SNR, gamma), {@code [B]}. */
    private Tensor weights(Tensor timesteps, double gamma) {
        long[] t = timesteps.toLongs();
        float[] r = new float[t.length];
        for (int i = 0; i < r.length; i++) {
            double snr = table.snr((int) t[i]);
            double kept = Math.min(snr, gamma);
            r[i] = (float)
                    switch (prediction) {
                        case EPSILON -> kept / snr;
                        case V_PREDICTION -> kept / (snr + 1);
                        default -> kept;
                    };
        }
        return Tensor.of(r, r.length).to(timesteps.device());
    }
}
