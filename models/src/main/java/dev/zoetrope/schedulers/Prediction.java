package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;

/** What a network was trained to answer for a sample {@code x = alpha x_0 + sigma noise}. */
public enum Prediction {
    /** The noise. */
    EPSILON,
    /** x_0. */
    SAMPLE,
    /** alpha noise - sigma x_0, arXiv:2202.00512. */
    V_PREDICTION,
    /** noise - x_0, where alpha is 1 - sigma. */
    FLOW_PREDICTION;

    static Prediction of(Json j) {
        return j.get("prediction_type", EPSILON);
    }

    /** Of a scheduler that lacks some. */
    static Prediction of(Json j, Prediction... supported) {
        Prediction p = of(j);
        for (Prediction s : supported) {
            if (s == p) {
                return p;
            }
        }
        throw j.unsupported(
                "prediction_type", java.util.Arrays.toString(supported).toLowerCase(java.util.Locale.ROOT));
    }
}
