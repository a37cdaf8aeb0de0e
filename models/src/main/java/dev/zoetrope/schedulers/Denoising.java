package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.concurrent.CancellationException;

/** The loop from noise to a sample: network, scheduler, network, scheduler. */
public final class Denoising {
    private Denoising() {}

    /** What a network answers for a sample, guidance included. */
    @FunctionalInterface
    public interface Network {
        /**
         * @param input the sample as {@link Run#input} makes it
         * @param timestep as the network was trained with
         * @return owned by the innermost scope
         */
        Tensor predict(Tensor input, double timestep);
    }

    /**
     * One call of the network, done. The tensors live until the observer returns.
     *
     * @param number from 1
     * @param count of all calls
     * @param prediction what the scheduler got
     * @param sample after the step, before an anchor holds any of it
     */
    public record Step(int number, int count, double timestep, Tensor prediction, Tensor sample) {}

    /** Told after each call of the network. */
    @FunctionalInterface
    public interface Observer {
        /** Sees nothing and never stops. */
        Observer NONE = step -> true;

        /** Whether to go on; false makes the run throw {@link CancellationException}. */
        boolean step(Step step);
    }

    /** What holds a part of the sample to what is known of it. */
    @FunctionalInterface
    public interface Anchor {
        /** Leaves the sample as the scheduler made it. */
        Anchor NONE = (run, sample) -> sample;

        /** The sample from which to go on, after a step of the run. */
        Tensor hold(Run run, Tensor sample);
    }

    /**
     * Goes all the way.
     *
     * @param start where the run begins, {@code [B, C, ...]}
     * @return the sample, owned by the innermost scope
     */
    public static Tensor run(Run run, Tensor start, Network network, Noise noise, Anchor anchor, Observer observer) {
        Tensor sample = start;
        int count = run.timesteps().length;
        while (!run.done()) {
            try (Scope s = Scope.open()) {
                double timestep = run.timestep();
                Tensor prediction = network.predict(run.input(sample), timestep);
                if (run.calls() == 0) {
                    requireFinite(prediction);
                }
                Tensor stepped = run.step(prediction, sample, noise);
                if (!observer.step(new Step(run.calls(), count, timestep, prediction, stepped))) {
                    throw new CancellationException("stopped after step " + run.calls() + " of " + count);
                }
                Tensor next = s.keep(anchor.hold(run, stepped));
                if (sample != start) {
                    sample.close();
                }
                sample = next;
            }
        }
        return sample;
    }

    /** An hour of steps from such numbers ends in a black picture. */
    private static void requireFinite(Tensor prediction) {
        try (Scope s = Scope.open()) {
            if (!prediction.isfinite().all()) {
                throw new UserError("the network answers numbers that are not finite at the first step; the weights of "
                        + "the model are damaged, or too coarse for its layers");
            }
        }
    }

    public static Tensor run(Run run, Tensor start, Network network, Noise noise, Observer observer) {
        return run(run, start, network, noise, Anchor.NONE, observer);
    }
}
