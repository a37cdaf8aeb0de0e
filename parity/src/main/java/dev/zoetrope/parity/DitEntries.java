package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.dit.DitOriginal;
import dev.zoetrope.models.dit.DitPipeline;
import dev.zoetrope.models.dit.FluxPipeline;
import dev.zoetrope.models.dit.FluxTransformer;
import dev.zoetrope.models.dit.PixArtTransformer;
import dev.zoetrope.models.dit.Sd3Transformer;
import dev.zoetrope.models.dit.TextPipeline;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.nn.Rotary;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Diffusion transformers of image latents. */
final class DitEntries {
    private DitEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("dit.forward", DitEntries::forward);
        entries.put("dit.original_forward", DitEntries::originalForward);
        entries.put("dit.original_sample", DitEntries::originalSample);
        entries.put("dit.sample", DitEntries::sample);
        entries.put("dit.sample_learned_sigma", DitEntries::sampleLearnedSigma);
        entries.put("pixart.txt2img", DitEntries::textToImage);
        entries.put("sd3.txt2img", DitEntries::textToImage);
        entries.put("flux.txt2img", DitEntries::textToImage);
        entries.put("pixart.forward", DitEntries::pixArt);
        entries.put("sd3.forward", DitEntries::sd3);
        entries.put("flux.forward", DitEntries::flux);
    }

    private static void forward(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        Tensor timesteps = c.input("timesteps");
        Tensor labels = c.input("class_labels");
        try (Dit dit = Dit.load(c.model())) {
            List<Tensor> states = dit.hiddenStates(latents, timesteps, labels);
            answers.put("patches", states.get(0));
            answers.put("conditioning_0", dit.condition(timesteps, labels));
            answers.put("block_0", states.get(1));
            answers.put("block_last", states.get(states.size() - 1));
            answers.put("sample", dit.forward(latents, timesteps, labels));
        }
    }

    private static void originalForward(Case c, Answers answers) {
        try (Dit dit = DitOriginal.load(c.model())) {
            answers.put("sample", dit.forward(c.input("latents"), c.input("timesteps"), c.input("class_labels")));
            Tensor labels = c.input("cfg_class_labels");
            Tensor half = c.input("cfg_latents");
            Tensor timesteps = Tensor.full(c.params().get("cfg_timestep", 0.0), labels.size(0));
            answers.put(
                    "cfg_sample", DitOriginal.guided(dit, Tensor.cat(0, half, half), timesteps, labels, guidance(c)));
        }
    }

    private static void originalSample(Case c, Answers answers) {
        Tensor labels = c.input("class_labels");
        Tensor noise = c.input("noise");
        Tensor x = Tensor.cat(0, c.input("latents"), c.input("latents"));
        List<Tensor> samples = new ArrayList<>();
        try (Dit dit = DitOriginal.load(c.model());
                Run run = DitOriginal.diffusion()
                        .start(DitOriginal.plan(c.params().requireInt("steps")))) {
            answers.put(
                    "timesteps",
                    Tensor.of(
                            Arrays.stream(run.timesteps())
                                    .mapToLong(t -> (long) t)
                                    .toArray(),
                            run.timesteps().length));
            while (!run.done()) {
                int call = run.calls();
                Tensor timesteps = Tensor.full(run.timestep(), labels.size(0));
                Tensor answer = DitOriginal.guided(dit, x, timesteps, labels, guidance(c));
                x = run.step(answer, x, shape -> noise.select(0, call));
                samples.add(x);
            }
        }
        answers.put("samples", Tensor.stack(0, samples));
        answers.put("latents_final", x.chunk(2, 0).get(0));
    }

    private static void sample(Case c, Answers answers) {
        try (DitPipeline pipeline = DitPipeline.load(c.model());
                Draws draws = Draws.given(List.of(c.input("noise_0")));
                Trace trace = new Trace()) {
            int steps = c.params().requireInt("steps");
            trace.answer(answers, pipeline.generate(labels(c), steps, guidance(c), draws, trace));
        }
    }

    private static List<Integer> labels(Case c) {
        return Arrays.stream(c.params().get("class_labels", new int[0])).boxed().toList();
    }

    private static void sampleLearnedSigma(Case c, Answers answers) {
        List<Integer> labels = Arrays.stream(c.input("class_labels").toLongs())
                .mapToObj(Math::toIntExact)
                .toList();
        List<Tensor> noise = c.input("noise").unbind(0);
        PipelineFolder parts = PipelineFolder.ofParts(c.model());
        try (Dit dit = Dit.load(parts.part("transformer"));
                Draws draws = Draws.given(noise);
                Trace trace = new Trace()) {
            int steps = c.params().requireInt("steps");
            DitPipeline.denoise(dit, parts.scheduler(), c.input("latents"), labels, steps, 1, draws, trace);
            answers.put("samples", trace.samples());
        }
    }

    private static void textToImage(Case c, Answers answers) {
        Json p = c.params();
        p.expect("clean_caption", false);
        p.expect("use_resolution_binning", false);
        Tensor latents = c.input("latents");
        try (TextPipeline pipeline = TextPipeline.load(c.model());
                Trace trace = new Trace()) {
            if (pipeline instanceof FluxPipeline) {
                // The case has tokens; they are drawn as latents, of which each holds 2 x 2.
                double pixels = p.requireInt("height") * p.requireInt("width") / (4.0 * latents.size(1));
                int factor = (int) Math.round(Math.sqrt(pixels));
                latents =
                        FluxPipeline.unpacked(latents, p.requireInt("height") / factor, p.requireInt("width") / factor);
            }
            try (Draws draws = Draws.given(List.of(latents))) {
                int length = p.get("max_sequence_length", pipeline.textLength());
                trace.answer(answers, pipeline.generate(DiffusionEntries.settings(p), length, draws, trace));
            }
        }
    }

    private static double guidance(Case c) {
        return c.params().get("guidance_scale", 1.0);
    }

    private static void pixArt(Case c, Answers answers) {
        PixArtTransformer.Input in = new PixArtTransformer.Input(
                c.input("latents"),
                c.input("timesteps"),
                c.input("encoder_hidden_states"),
                c.optionalInput("encoder_attention_mask"),
                c.optionalInput("resolution"),
                c.optionalInput("aspect_ratio"));
        try (PixArtTransformer model = PixArtTransformer.load(c.model())) {
            answers.put("patches", model.patches(in.latents()));
            answers.put("caption", model.caption(in.text()));
            answers.put("time", model.modulation(in));
            answers.put("block_0", model.hiddenStates(in).get(0));
            answers.put("sample", model.forward(in));
        }
    }

    private static void sd3(Case c, Answers answers) {
        Tensor latents = c.input("latents");
        Tensor timesteps = c.input("timesteps");
        Tensor text = c.input("encoder_hidden_states");
        Tensor pooled = c.input("pooled_projections");
        try (Sd3Transformer model = Sd3Transformer.load(c.model())) {
            answers.put("patches", model.patches(latents));
            answers.put("time_text", model.condition(timesteps, pooled));
            answers.put("context", model.context(text));
            List<Tensor> first =
                    model.hiddenStates(latents, timesteps, text, pooled).get(0);
            answers.put("block_0", first.get(0));
            answers.put("block_0_context", first.get(first.size() - 1));
            answers.put("sample", model.forward(latents, timesteps, text, pooled));
        }
    }

    private static void flux(Case c, Answers answers) {
        FluxTransformer.Input in = new FluxTransformer.Input(
                c.input("latents"),
                c.input("timesteps"),
                c.input("encoder_hidden_states"),
                c.input("pooled_projections"),
                c.input("img_ids"),
                c.input("txt_ids"),
                c.optionalInput("guidance"));
        try (FluxTransformer model = FluxTransformer.load(c.model())) {
            answers.put("x_embedder", model.picture(in));
            answers.put("time_text", model.condition(in));
            answers.put("context", model.context(in));
            List<List<Tensor>> states = model.hiddenStates(in);
            answers.put("double_0", states.get(0).get(0));
            answers.put("double_0_context", states.get(0).get(1));
            List<Tensor> single = states.get(model.config().layers());
            answers.put("single_0", single.get(0));
            answers.put("single_0_context", single.get(1));
            Rotary rotary = model.rotary(in);
            answers.put("rope_cos", rotary.cos().repeatInterleave(2, -1));
            answers.put("rope_sin", rotary.sin().repeatInterleave(2, -1));
            answers.put("sample", model.forward(in));
        }
    }
}
