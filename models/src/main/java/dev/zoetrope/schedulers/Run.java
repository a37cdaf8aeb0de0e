package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.Arrays;

/**
 * One way from noise to a sample: where it stands, and what it remembers of the steps before. Used by one thread; closing
 * frees what it remembers.
 */
public abstract class Run implements AutoCloseable {
    private final double[] timesteps;
    private final int begin;
    private int index;

    /** @param timesteps of every call of the network, those left out at the start too */
    Run(double[] timesteps, int begin) {
        if (begin > timesteps.length) {
            throw new UserError("a run of " + timesteps.length + " calls cannot begin after " + begin);
        }
        this.timesteps = timesteps;
        this.begin = begin;
        this.index = begin;
    }

    /** What the network is asked with, one for each call of this run. */
    public double[] timesteps() {
        return Arrays.copyOfRange(timesteps, begin, timesteps.length);
    }

    /** What the network is asked with now. */
    public double timestep() {
        if (done()) {
            throw new IllegalStateException("the run is over");
        }
        return timesteps[index];
    }

    public boolean done() {
        return index == timesteps.length;
    }

    /** Calls of the network so far. */
    public int calls() {
        return index - begin;
    }

    /** Noise levels with the last one, where the scheduler goes by them; else empty. Those left out are among them. */
    public double[] sigmas() {
        return new double[0];
    }

    /** The factor on standard normal noise that a run starts from. */
    public double initialScale() {
        return 1;
    }

    /** The sample as the network shall see it. */
    public Tensor input(Tensor sample) {
        return sample;
    }

    /**
     * The sample after one more call of the network.
     *
     * @param output what the network answered for {@link #input} of the sample at {@link #timestep}
     * @param sample {@code [B, C, ...]}
     * @param noise asked only where the scheduler adds some
     * @return like the sample, owned by the innermost scope
     */
    public final Tensor step(Tensor output, Tensor sample, Noise noise) {
        if (done()) {
            throw new IllegalStateException("the run is over");
        }
        try (Scope s = Scope.open()) {
            Tensor next = next(output, sample, shape -> noise.draw(shape).to(sample.device()));
            index++;
            return s.keep(next);
        }
    }

    /** The sample after the call at {@link #index}, a tensor of its own. */
    abstract Tensor next(Tensor output, Tensor sample, Noise noise);

    /**
     * A clean sample noised as if the run had come to this timestep: where image to image begins.
     *
     * @param clean {@code [B, C, ...]}
     * @param noise standard normal, like clean
     * @param timestep one of the run's, for each row
     */
    public final Tensor addNoise(Tensor clean, Tensor noise, double... timestep) {
        double[] alpha = new double[timestep.length];
        double[] sigma = new double[timestep.length];
        for (int i = 0; i < timestep.length; i++) {
            Level level = level(timestep[i]);
            alpha[i] = level.alpha();
            sigma[i] = level.sigma();
        }
        try (Scope s = Scope.open()) {
            return s.keep(clean.mul(NoiseTable.perRow(alpha, clean)).add(noise.mul(NoiseTable.perRow(sigma, clean))));
        }
    }

    /** Of a timestep of this run. */
    abstract Level level(double timestep);

    /** Number of the call at this timestep; of the second where there are two, as the reference counts. */
    final int indexOf(double timestep) {
        int found = -1;
        int seen = 0;
        for (int i = 0; i < timesteps.length && seen < 2; i++) {
            if (timesteps[i] == timestep) {
                found = i;
                seen++;
            }
        }
        if (found < 0) {
            throw new UserError("timestep " + timestep + " is none of this run's: " + Arrays.toString(timesteps));
        }
        return found;
    }

    final int index() {
        return index;
    }

    /** Of every call, those left out too. */
    final int count() {
        return timesteps.length;
    }

    final double timestep(int call) {
        return timesteps[call];
    }

    @Override
    public void close() {
        // most schedulers remember nothing
    }
}
