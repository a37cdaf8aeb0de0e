package dev.zoetrope.training;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.nn.TrainingScope;
import dev.zoetrope.tensor.Autocast;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Engine;
import dev.zoetrope.tensor.GradientCopies;
import dev.zoetrope.tensor.ProcessGroup;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * The training loop of every system. A stage is an objective, its parameters and how to step them; the loop adds workers,
 * clipping, the average of the weights, reports, checkpoints and going on after a stop.
 *
 * <p>Each step is a function of its number: all random draws come from (seed, step, share), so a run that was stopped and
 * resumed takes the steps that it would have taken.
 *
 * <p>Workers are threads with one engine thread each. On small models that is near linear, where operators spread over
 * threads are not. Each adds up the gradients of its shares, then these are added pair by pair: the sum does not depend on
 * who comes first. Processes, where the run folder has several, do the same once more.
 */
public final class Trainer {
    /**
     * A part of a step's batch. Which data it has should follow from its {@link #number} alone: then several workers,
     * accumulated shares and processes see what one worker with a larger batch would see.
     *
     * @param index from 0
     * @param of how many shares all workers of all processes take in a step
     */
    public record Share(long step, int index, int of) {
        /** Counts the shares of all steps. */
        public long number() {
            return step * of + index;
        }
    }

    /** What is to become small. */
    @FunctionalInterface
    public interface Objective {
        /**
         * The loss of one share of a batch, a number. Called on a worker's thread inside a scope.
         *
         * @param random for all draws of this share
         */
        Tensor loss(Share share, RandomSource random, Metrics metrics);
    }

    /**
     * @param steps of the stage
     * @param workers threads, of each process
     * @param accumulate shares that a worker takes one after the other in a step
     * @param rate peak learning rate
     * @param warmup steps of linear rise
     * @param decay share of the steps at the end over which the rate falls to almost nothing by a cosine
     * @param weightDecay of AdamW
     * @param clipNorm largest length of the gradient
     * @param emaDecay of the average of the weights; 0 for none
     * @param bfloat16 whether products run in bfloat16
     * @param recompute whether blocks make their activations again in the backward instead of keeping them
     * @param saveEvery steps between checkpoints
     * @param reportEvery steps between reports
     * @param sampleEvery steps between calls of the stage's observer; 0 for never
     * @param seed of everything drawn
     */
    public record Settings(
            long steps,
            int workers,
            int accumulate,
            double rate,
            long warmup,
            double decay,
            double weightDecay,
            double clipNorm,
            double emaDecay,
            boolean bfloat16,
            boolean recompute,
            long saveEvery,
            long reportEvery,
            long sampleEvery,
            long seed) {
        public Settings {
            Check.positive(workers, "workers");
            Check.positive(accumulate, "accumulate");
            Check.positive(saveEvery, "save_every");
            Check.positive(reportEvery, "report_every");
        }

        public static Settings of(Json j) {
            return new Settings(
                    j.requireInt("steps"),
                    j.get("workers", 2),
                    j.get("accumulate", 1),
                    j.get("rate", 1e-3),
                    j.get("warmup", 100L),
                    j.get("decay", .4),
                    j.get("weight_decay", .01),
                    j.get("clip_norm", 1.),
                    j.get("ema_decay", 0.),
                    j.get("bfloat16", false),
                    j.get("recompute", false),
                    j.get("save_every", 500L),
                    j.get("report_every", 50L),
                    j.get("sample_every", 0L),
                    j.get("seed", 0L));
        }

        /** Rises, stays, and falls over the last share of the steps. */
        double rateAt(long step) {
            double start = steps * (1 - decay);
            double rise = Math.min(1, (step + 1.) / Math.max(1, warmup));
            double fall = step < start ? 1 : .5 + .5 * Math.cos(Math.PI * (step - start) / Math.max(1, steps - start));
            return rate * rise * Math.max(fall, .01);
        }
    }

    /** Called every so many steps, with the averaged weights in place. */
    @FunctionalInterface
    public interface Observer {
        void observe(long step, TensorBoard board);
    }

    /** Steps without a finite loss and gradient, one after the other, after which a run is given up. */
    private static final int BROKEN_AT_MOST = 10;

    private final String stage;
    private final Settings settings;
    private final Map<String, Tensor> parameters;
    private final Optimizer optimizer;
    private final @Nullable Ema ema;
    private final Objective objective;
    private final RunFolder folder;
    private final TrainingListener listener;
    private final ProcessGroup group;
    private final DataParallel processes;
    private int broken;
    private long taken;
    private boolean measured;
    private Runnable afterStep = () -> {};

    public Trainer(
            String stage,
            Settings settings,
            Map<String, Tensor> parameters,
            List<Optimizer.Group> groups,
            Objective objective,
            RunFolder folder,
            TrainingListener listener) {
        this.stage = stage;
        this.settings = settings;
        this.parameters = parameters;
        this.objective = objective;
        this.folder = folder;
        this.listener = listener;
        group = folder.group();
        processes = new DataParallel(group, parameters);
        parameters.values().forEach(p -> p.requireGrad(true));
        optimizer = new Optimizer(
                processes.own(), new Optimizer.AdamW(settings.rate(), .9, .98, 1e-8, settings.weightDecay()), groups);
        ema = settings.emaDecay() == 0 ? null : new Ema(parameters, Ema.Decay.warm(settings.emaDecay()));
    }

    /** What a recipe does to the weights after each step, such as keeping one within limits. Returns this. */
    public Trainer afterEachStep(Runnable action) {
        afterStep = action;
        return this;
    }

    /**
     * Takes the steps that are left, then leaves the averaged weights (if there is an average) in the parameters.
     *
     * @return whether all steps were taken; false when the listener stopped the run
     */
    public boolean run(Observer observer) {
        long step = restore();
        listener.stage(stage, step, settings.steps());
        boolean wanted = true;
        ExecutorService workers = Executors.newFixedThreadPool(settings.workers());
        try (TensorBoard board = new TensorBoard(folder.events(stage));
                GradientCopies copies = new GradientCopies(parameters.values(), settings.workers())) {
            Metrics metrics = new Metrics();
            long since = System.nanoTime();
            long reported = step;
            while (step < settings.steps() && wanted) {
                take(step, workers, copies, metrics);
                step++;
                wanted = group.all(listener.step(step, settings.steps()));
                boolean last = step == settings.steps();
                if (step % settings.reportEvery() == 0 || last) {
                    metrics.add("steps_per_second", (step - reported) * 1e9 / (System.nanoTime() - since));
                    Map<String, Double> values = metrics.drain();
                    long at = step;
                    values.forEach((name, value) -> board.scalar(stage + "/" + name, value, at));
                    listener.report(step, values);
                    since = System.nanoTime();
                    reported = step;
                }
                if (step % settings.saveEvery() == 0 || last || !wanted) {
                    save(step);
                }
                if (settings.sampleEvery() > 0 && (step % settings.sampleEvery() == 0 || last) && group.rank() == 0) {
                    long at = step;
                    withAverage(() -> observer.observe(at, board));
                }
            }
        } finally {
            workers.shutdownNow();
        }
        if (ema != null && step >= settings.steps()) {
            load(ema.average());
        }
        parameters.values().forEach(p -> p.requireGrad(false));
        optimizer.close();
        if (ema != null) {
            ema.close();
        }
        return step >= settings.steps();
    }

    private void take(long step, ExecutorService workers, GradientCopies copies, Metrics metrics) {
        parameters.values().forEach(Tensor::zeroGrad);
        int local = settings.workers() * settings.accumulate();
        int all = local * group.size();
        double[] losses = new double[local];
        int first = 0;
        if (!measured) {
            first = 1; // one share by itself tells what memory the others will need
            measured = true;
            measure(() -> await(
                    step,
                    List.of(workers.submit(
                            () -> losses[0] = share(new Share(step, group.rank() * local, all), copies, 0, metrics)))));
        }
        List<Future<?>> shares = new ArrayList<>();
        for (int w = 0; w < settings.workers(); w++) {
            int worker = w;
            int begin = worker == 0 ? first : 0;
            shares.add(workers.submit(() -> {
                for (int k = begin; k < settings.accumulate(); k++) {
                    int i = k * settings.workers() + worker;
                    losses[i] = share(new Share(step, group.rank() * local + i, all), copies, worker, metrics);
                }
            }));
        }
        await(step, shares);
        copies.sum();
        double loss = processes.reduce(Arrays.stream(losses).sum()) / all;
        double norm = Gradients.clip(parameters.values(), settings.clipNorm());
        metrics.add("loss", loss);
        metrics.add("grad_norm", norm);
        if (!Double.isFinite(loss) || !Double.isFinite(norm)) {
            skip(step, loss);
            return;
        }
        broken = 0;
        double rate = settings.rateAt(step);
        metrics.add("rate", rate);
        optimizer.step(rate);
        processes.spread();
        afterStep.run();
        if (ema != null) {
            ema.update();
        }
        taken++;
    }

    private void skip(long step, double loss) {
        broken++;
        String what = Double.isFinite(loss) ? "the gradient is" : "the loss is " + loss + ",";
        listener.message(stage + ": step " + step + ": " + what + " not finite; the step is skipped");
        if (broken == BROKEN_AT_MOST) {
            throw new UserError(stage + ": " + broken + " steps in a row had no finite loss and gradient, the last was "
                    + step + "; lower the rate and go on with --resume from " + folder.path());
        }
    }

    private static void await(long step, List<Future<?>> shares) {
        for (Future<?> share : shares) {
            try {
                share.get();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new UserError("training was interrupted at step " + step, e);
            } catch (ExecutionException e) {
                throw e.getCause() instanceof RuntimeException r ? r : new IllegalStateException(e.getCause());
            }
        }
    }

    /** Runs the first share and says what memory the training will come to. */
    private void measure(Runnable share) {
        if (!ProcessMemory.isKnown() || group.rank() > 0) {
            share.run();
            return;
        }
        ProcessMemory.forgetPeak();
        long before = ProcessMemory.resident();
        share.run();
        long peak = ProcessMemory.peak();
        long moments = optimizer.state().isEmpty()
                ? 2
                        * optimizer.parameters().values().stream()
                                .mapToLong(p -> p.numel() * p.dtype().bytes())
                                .sum()
                : 0;
        long needed = (peak + (settings.workers() - 1) * Math.max(0, peak - before) + moments) * group.size();
        long obtainable = ProcessMemory.obtainable();
        listener.message(String.format(
                Locale.ROOT,
                "%s: needs about %s of memory; you have %s%s",
                stage,
                gigabytes(needed),
                gigabytes(obtainable),
                needed <= obtainable
                        ? ""
                        : ". That may not be enough: set a smaller batch with more accumulate, fewer workers, or "
                                + "recompute: true"));
    }

    private static String gigabytes(long bytes) {
        return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
    }

    /** The loss of a share, whose gradients the worker's copy then has. */
    private double share(Share share, GradientCopies copies, int worker, Metrics metrics) {
        Engine.setThreads(1);
        try (RandomSource random = RandomSource.of(mix(settings.seed(), share.step(), share.index()));
                TrainingScope training =
                        settings.recompute() ? TrainingScope.recomputing(random) : TrainingScope.open(random);
                Scope s = Scope.open();
                GradientCopies.Entered copy = copies.enter(worker);
                Autocast precision = Autocast.bfloat16If(settings.bfloat16())) {
            Tensor loss = objective.loss(share, random, metrics);
            double value = loss.item();
            if (Double.isFinite(value)) {
                loss.mul(1. / share.of()).backward();
            }
            return value;
        }
    }

    /** A seed for each (seed, step, share), spread over all 64 bits. */
    private static long mix(long seed, long step, int share) {
        long x = seed * 0x9E3779B97F4A7C15L + step * 0xBF58476D1CE4E5B9L + share;
        x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
        x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
        return x ^ (x >>> 31);
    }

    private void withAverage(Runnable action) {
        if (ema == null) {
            action.run();
            return;
        }
        try (Ema.Applied average = ema.apply()) {
            action.run();
        }
    }

    private void load(Map<String, Tensor> values) {
        try (var off = Autograd.off()) {
            parameters.forEach((name, p) -> {
                Tensor v = values.get(name);
                if (v == null) {
                    throw new UserError(folder.path() + ": the checkpoint of " + stage + " lacks " + name
                            + ": resume with the recipe that wrote it, or start anew");
                }
                p.copyInPlace(v);
            });
        }
    }

    private void save(long step) {
        try (Scope s = Scope.open()) {
            Map<String, Map<String, Tensor>> tensors = new LinkedHashMap<>();
            tensors.put("weights", parameters);
            tensors.put("optimizer", processes.whole(optimizer.state(), optimizer.suffixes()));
            if (ema != null) {
                tensors.put("ema", ema.average());
            }
            folder.save(stage, new RunFolder.Saved(step, taken, tensors));
        }
    }

    private long restore() {
        try (Scope s = Scope.open()) {
            RunFolder.Saved saved = folder.newest(stage);
            if (saved == null) {
                return 0;
            }
            load(saved.tensors().getOrDefault("weights", Map.of()));
            optimizer.restore(processes.part(saved.tensors().getOrDefault("optimizer", Map.of())));
            taken = saved.taken();
            if (ema != null) {
                ema.restore(saved.tensors().getOrDefault("ema", Map.of()), taken);
            }
            return saved.step();
        }
    }
}
