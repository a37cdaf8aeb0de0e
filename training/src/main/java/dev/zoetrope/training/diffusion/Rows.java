package dev.zoetrope.training.diffusion;

import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;

/** Numbers that depend on the timestep of each sample, computed in double and used like the samples. */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Rows(long[] timesteps, Tensor like) {
    @FunctionalInterface
    interface ByTimestep {
        double at(int t);
    }

    /** {@code [B, 1, ...]}. */
    Tensor of(ByTimestep f) {
        double[] r = new double[timesteps.length];
        for (int i = 0; i < r.length; i++) {
            r[i] = f.at(Math.toIntExact(timesteps[i]));
        }
        return perSample(Tensor.of(r, r.length).to(like.dtype()).to(like.device()), like);
    }

    /** {@code [B]} as {@code [B, 1, ...]} of as many axes as {@code like}. */
    static Tensor perSample(Tensor numbers, Tensor like) {
        long[] shape = new long[like.dim()];
        Arrays.fill(shape, 1);
        shape[0] = numbers.size(0);
        return numbers.reshape(shape);
    }
}
