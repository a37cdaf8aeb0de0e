package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * The noise levels of CogVideoX, arXiv:2408.06072: in float64, with a lower signal to noise ratio for large videos, and
 * with none left at the last timestep.
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record CogVideoXTable(
        double[] alphasCumprod, double lastAlpha, Prediction prediction, Spacing spacing, int offset) {
    public static CogVideoXTable of(Json j) {
        double shift = j.get("snr_shift_scale", 3.0);
        Check.positive(shift, "snr_shift_scale");
        try (Scope s = Scope.open()) {
            Tensor betas = NoiseTable.betas(j, 0.00085, 0.012, NoiseTable.Betas.SCALED_LINEAR, DType.FLOAT64);
            Tensor acp = betas.rsub(1).cumprod(0);
            acp = acp.div(acp.mul(1 - shift).add(shift));
            double[] table = (j.get("rescale_betas_zero_snr", false) ? NoiseTable.rescaled(acp) : acp).toDoubles();
            return new CogVideoXTable(
                    table,
                    j.get("set_alpha_to_one", true) ? 1 : table[0],
                    Prediction.of(j, Prediction.EPSILON, Prediction.SAMPLE, Prediction.V_PREDICTION),
                    Spacing.of(j, Spacing.LEADING),
                    j.get("steps_offset", 0));
        }
    }

    int size() {
        return alphasCumprod.length;
    }

    double[] timesteps(Plan plan) {
        plan.refuseTimesteps("CogVideoX");
        plan.refuseSigmas("CogVideoX");
        return spacing.whole(size(), plan.steps(), offset);
    }

    /** Of a timestep, or of the end if it is negative. */
    double alphaCumprod(double t) {
        return t >= 0 ? alphasCumprod[(int) t] : lastAlpha;
    }

    Level level(double t) {
        double acp = alphaCumprod(t);
        return new Level(Math.sqrt(acp), Math.sqrt(1 - acp));
    }

    Tensor clean(Tensor output, Tensor sample, double t) {
        return level(t).clean(prediction, output, sample);
    }
}
