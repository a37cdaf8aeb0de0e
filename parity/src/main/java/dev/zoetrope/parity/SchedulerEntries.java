package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.schedulers.Ddpm;
import dev.zoetrope.schedulers.NoiseTable;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.schedulers.StepOptions;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Noise schedulers: whole runs with given answers of a network, and noised samples. */
final class SchedulerEntries {
    private SchedulerEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("scheduler.trajectory", SchedulerEntries::trajectory);
        entries.put("scheduler.add_noise", SchedulerEntries::addNoise);
        entries.put("ddpm.noising", SchedulerEntries::addNoise);
    }

    private static void trajectory(Case c, Answers answers) {
        Tensor outputs = c.input("model_outputs");
        Tensor noise = c.optionalInput("noise");
        Tensor sample = c.input("sample");
        List<Tensor> inputs = new ArrayList<>();
        List<Tensor> samples = new ArrayList<>();
        try (Run run = scheduler(c).start(plan(c.params()))) {
            double[] timesteps = run.timesteps();
            boolean whole = c.outputs().stream()
                    .anyMatch(o -> o.name().equals("timesteps") && o.dtype().equals("int64"));
            answers.put("timesteps", timesteps);
            if (whole) {
                answers.put(
                        "timesteps",
                        Tensor.of(
                                Arrays.stream(timesteps)
                                        .mapToLong(t -> (long) t)
                                        .toArray(),
                                timesteps.length));
            }
            answers.put("sigmas", run.sigmas());
            answers.put("init_noise_sigma", Tensor.scalarOf(run.initialScale()));
            while (!run.done()) {
                int call = run.calls();
                inputs.add(run.input(sample));
                sample = run.step(outputs.select(0, call), sample, shape -> noise.select(0, call));
                samples.add(sample);
            }
        }
        answers.put("scaled_inputs", Tensor.stack(0, inputs));
        answers.put("samples", Tensor.stack(0, samples));
        answers.put("final", sample);
    }

    private static Scheduler scheduler(Case c) {
        return Scheduler.of(Json.read(c.model().resolve("scheduler_config.json")));
    }

    private static Plan plan(Json p) {
        List<Double> sigmas = list(p, "sigmas");
        List<Double> timesteps = list(p, "timesteps");
        Plan plan = !sigmas.isEmpty()
                ? Plan.ofSigmas(sigmas)
                : timesteps.isEmpty() ? Plan.of(p.requireInt("steps")) : Plan.ofTimesteps(timesteps);
        StepOptions d = StepOptions.DEFAULT;
        return plan.withMu(p.has("mu") ? p.get("mu", 0.0) : null)
                .from(p.get("begin_index", 0))
                .with(new StepOptions(
                        p.get("eta", d.eta()),
                        p.get("use_clipped_model_output", d.clippedOutput()),
                        p.get("order", d.order()),
                        p.get("s_churn", d.churn()),
                        p.get("s_tmin", d.churnFrom()),
                        p.get("s_tmax", d.churnTo()),
                        p.get("s_noise", d.churnScale())));
    }

    private static List<Double> list(Json p, String key) {
        return Arrays.stream(p.get(key, new double[0])).boxed().toList();
    }

    private static void addNoise(Case c, Answers answers) {
        Tensor original = c.input("original");
        Tensor noise = c.input("noise");
        Tensor timesteps = c.input("timesteps");
        if (c.params().has("steps")) {
            try (Run run = scheduler(c).start(plan(c.params()))) {
                answers.put("noisy", run.addNoise(original, noise, timesteps.toDoubles()));
            }
            return;
        }
        NoiseTable table =
                Ddpm.of(Json.read(c.model().resolve("scheduler_config.json"))).table();
        Tensor t = timesteps.to(DType.INT64);
        answers.put("noisy", table.addNoise(original, noise, t));
        answers.put("velocity", table.velocity(original, noise, t));
        answers.put("betas", table.betas());
        answers.put("alphas_cumprod", table.alphasCumprod());
    }
}
