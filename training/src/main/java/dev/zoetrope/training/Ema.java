package dev.zoetrope.training;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Foreach;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The exponential moving average of named parameters: after each optimiser step, {@code average = decay * average + (1 -
 * decay) * parameter}. It starts as a copy of the parameters.
 */
public final class Ema implements AutoCloseable {
    /**
     * The decay of each step. With {@code s} the number of updates so far (1 for the first) less {@code afterStep} less
     * 1, a decay that grows is 0 while s is not positive (the average is a copy), then the growth's value, at most
     * {@code limit} and at least {@code least}.
     *
     * @param limit the highest decay, and that of every step where it is constant
     * @param gamma scale of the steps in {@link Growth#POWER}
     * @param power exponent in {@link Growth#POWER}
     */
    public record Decay(Growth growth, double limit, double gamma, double power, long afterStep, double least) {
        /** From a copy to the highest decay. */
        public enum Growth {
            /** The highest decay from the first step on. */
            NONE,
            /** (1 + s) / (10 + s). */
            RATIO,
            /** 1 - (1 + s / gamma)^-power. */
            POWER
        }

        public Decay {
            Check.between(0, 1, limit, "ema decay");
            Check.between(0, 1, least, "ema min_decay");
            Check.positive(gamma, "ema inv_gamma");
        }

        public static Decay constant(double decay) {
            return new Decay(Growth.NONE, decay, 1, 1, 0, 0);
        }

        /** Grows as (1 + s) / (10 + s) up to the limit. */
        public static Decay warm(double limit) {
            return new Decay(Growth.RATIO, limit, 1, 1, 0, 0);
        }

        /** The decay of update 1, 2, ... */
        public double at(long update) {
            if (growth == Growth.NONE) {
                return limit;
            }
            double s = update - afterStep - 1;
            if (s <= 0) {
                return 0;
            }
            double grown = growth == Growth.RATIO ? (1 + s) / (10 + s) : 1 - Math.pow(1 + s / gamma, -power);
            return Math.max(least, Math.min(limit, grown));
        }
    }

    private final LinkedHashMap<String, Tensor> parameters;
    private final LinkedHashMap<String, Tensor> average = new LinkedHashMap<>();
    private final Decay decay;
    private long updates;

    public Ema(Map<String, Tensor> parameters, Decay decay) {
        this.parameters = new LinkedHashMap<>(parameters);
        this.decay = decay;
        try (Autograd.Mode off = Autograd.off()) {
            parameters.forEach((name, t) ->
                    average.put(name, Scope.detach(t.detach().copy()).named(name)));
        }
    }

    /** Takes in the parameters after one more optimiser step; returns the decay used. */
    public double update() {
        double d = decay.at(++updates);
        try (Autograd.Mode off = Autograd.off()) {
            Foreach.lerp(List.copyOf(average.values()), List.copyOf(parameters.values()), 1 - d);
        }
        return d;
    }

    /** The average by parameter name: the tensors are its own, to be read or saved. */
    public Map<String, Tensor> average() {
        return Collections.unmodifiableMap(average);
    }

    /** How many steps have been taken in. */
    public long updates() {
        return updates;
    }

    /** Goes on from a saved {@link #average} and the number of its {@link #updates}; copies it. */
    public void restore(Map<String, Tensor> saved, long savedUpdates) {
        List<Tensor> sources = new ArrayList<>();
        average.forEach((name, t) -> {
            Tensor from = saved.get(name);
            if (from == null || !Arrays.equals(from.shape(), t.shape())) {
                throw new UserError("average of " + name + " " + Arrays.toString(t.shape())
                        + (from == null ? " is missing" : " was saved as " + Arrays.toString(from.shape()))
                        + ": resume with the recipe that saved it");
            }
            sources.add(from);
        });
        try (Autograd.Mode off = Autograd.off()) {
            Foreach.copy(List.copyOf(average.values()), sources);
        }
        updates = savedUpdates;
    }

    /** While open, the parameters hold the average: for evaluation and samples. Nothing may be trained meanwhile. */
    public Applied apply() {
        return new Applied();
    }

    /** The parameters' own values come back on close. */
    public final class Applied implements AutoCloseable {
        private final List<Tensor> live = List.copyOf(parameters.values());
        private final List<Tensor> own;

        private Applied() {
            try (Autograd.Mode off = Autograd.off()) {
                own = live.stream().map(t -> Scope.detach(t.copy())).toList();
                Foreach.copy(live, List.copyOf(average.values()));
            }
        }

        @Override
        public void close() {
            try (Autograd.Mode off = Autograd.off()) {
                Foreach.copy(live, own);
            }
            own.forEach(Tensor::close);
        }
    }

    /** Frees the average; parameters stay. */
    @Override
    public void close() {
        average.values().forEach(Tensor::close);
    }
}
