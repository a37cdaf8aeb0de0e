package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** A noise level: {@code x = alpha x_0 + sigma noise}. */
record Level(double alpha, double sigma) {
    /** Of a cumulative product of alphas, in float32 as the reference. */
    static Level of(float alphaCumprod) {
        return new Level((float) Math.sqrt(alphaCumprod), (float) Math.sqrt(1 - alphaCumprod));
    }

    /** x_0 from what the network answered for x. */
    Tensor clean(Prediction prediction, Tensor output, Tensor x) {
        return switch (prediction) {
            case EPSILON -> {
                try (Scope s = Scope.open()) {
                    yield s.keep(x.sub(output.mul(sigma)).div(alpha));
                }
            }
            case SAMPLE -> output.alias();
            case V_PREDICTION -> Weighted.sum(alpha, x, -sigma, output);
            case FLOW_PREDICTION -> Weighted.sum(1, x, -sigma, output);
        };
    }

    /** The noise from what the network answered for x. */
    Tensor noise(Prediction prediction, Tensor output, Tensor x) {
        return switch (prediction) {
            case EPSILON -> output.alias();
            case SAMPLE -> noise(output, x);
            case V_PREDICTION -> Weighted.sum(alpha, output, sigma, x);
            case FLOW_PREDICTION -> Weighted.sum(alpha, output, 1, x);
        };
    }

    /** The noise within x whose clean part is known. */
    Tensor noise(Tensor clean, Tensor x) {
        try (Scope s = Scope.open()) {
            return s.keep(x.sub(clean.mul(alpha)).div(sigma));
        }
    }
}
