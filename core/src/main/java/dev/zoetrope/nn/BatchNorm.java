package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;

/**
 * Normalises each channel of {@code [B, C, ...]}, arXiv:1502.03167: by the batch's mean and variance inside a
 * {@link TrainingScope}, where the running ones follow, and by the running ones outside.
 */
public final class BatchNorm implements Module {
    private final Tensor weight;
    private final Tensor bias;
    private final Tensor runningMean;
    private final Tensor runningVar;
    private final double eps;
    private final double momentum;

    /** @param momentum how far the running statistics go to those of the batch, 0.1 in PyTorch */
    public BatchNorm(Weights w, long channels, double eps, double momentum) {
        this.weight = w.tensor("weight", Init.ones(), channels);
        this.bias = w.tensor("bias", Init.zeros(), channels);
        this.runningMean = w.buffer("running_mean", Init.zeros(), channels);
        this.runningVar = w.buffer("running_var", Init.ones(), channels);
        w.ignorable("num_batches_tracked"); // PyTorch counts, but goes by the momentum
        this.eps = eps;
        this.momentum = momentum;
    }

    @Override
    public Tensor forward(Tensor x) {
        TrainingScope training = TrainingScope.current();
        if (training == null) {
            return Functional.batchNorm(x, weight, bias, runningMean, runningVar, false, momentum, eps);
        }
        if (training.isRepeated()) {
            return Functional.batchNorm(x, weight, bias, null, null, true, momentum, eps);
        }
        synchronized (this) { // workers that share the model move the same statistics
            return Functional.batchNorm(x, weight, bias, runningMean, runningVar, true, momentum, eps);
        }
    }
}
