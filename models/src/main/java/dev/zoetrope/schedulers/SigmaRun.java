package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** A run in which the sample is {@code x_0 + sigma noise}: its noise grows while x_0 keeps its scale, arXiv:2206.00364. */
abstract class SigmaRun extends Run {
    private final double[] sigmas;
    private final boolean startsAtSigma;

    /**
     * @param sigmas one a call and the one after the last, in float32
     * @param startsAtSigma whether a run starts from noise of the highest level, else from that on top of unit variance
     */
    SigmaRun(double[] timesteps, double[] sigmas, int begin, boolean startsAtSigma) {
        super(timesteps, begin);
        this.sigmas = sigmas;
        this.startsAtSigma = startsAtSigma;
    }

    @Override
    public double[] sigmas() {
        return sigmas.clone();
    }

    final float sigma(int call) {
        return (float) sigmas[call];
    }

    @Override
    public double initialScale() {
        float highest = 0;
        for (double s : sigmas) {
            highest = Math.max(highest, (float) s);
        }
        return startsAtSigma ? highest : (float) Math.sqrt(highest * highest + 1);
    }

    /** At unit variance again. */
    @Override
    public Tensor input(Tensor sample) {
        float sigma = sigma(index());
        return sample.div((double) (float) Math.sqrt(sigma * sigma + 1));
    }

    @Override
    Level level(double timestep) {
        return new Level(1, sigma(indexOf(timestep)));
    }

    /** x_0 from what the network answered for {@link #input} of the sample. */
    static Tensor clean(Prediction prediction, Tensor output, Tensor sample, float sigma) {
        if (prediction != Prediction.V_PREDICTION) {
            return new Level(1, sigma).clean(prediction, output, sample);
        }
        float variance = sigma * sigma + 1;
        return Weighted.sum(-sigma / (float) Math.sqrt(variance), output, 1 / variance, sample);
    }

    /** The direction in which the sample changes with sigma. */
    static Tensor derivative(Tensor sample, Tensor clean, float sigma) {
        try (Scope s = Scope.open()) {
            return s.keep(sample.sub(clean).div((double) sigma));
        }
    }
}
