package dev.zoetrope.schedulers;

import dev.zoetrope.checkpoint.Json;

/** The noise level after the last step. */
public enum FinalSigma {
    ZERO,
    /** The lowest of training. */
    SIGMA_MIN;

    static FinalSigma of(Json j) {
        return j.get("final_sigmas_type", ZERO);
    }
}
