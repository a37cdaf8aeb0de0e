package dev.zoetrope.parity;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.ddpm.DdpmPipeline;
import dev.zoetrope.models.ldm.Box;
import dev.zoetrope.models.ldm.ClassConditional;
import dev.zoetrope.models.ldm.LatentDiffusion;
import dev.zoetrope.models.ldm.PipelineFolder;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.ldm.Prompts;
import dev.zoetrope.models.ldm.SemanticSynthesis;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.ldm.StableDiffusion;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Pipelines of diffusion: from a prompt, a picture, a class or nothing to pictures. */
final class DiffusionEntries {
    private DiffusionEntries() {}

    static void register(Map<String, Entry> entries) {
        entries.put("ddpm.sample", DiffusionEntries::ddpm);
        entries.put("ldm.txt2img", DiffusionEntries::textToImage);
        entries.put("sdxl.txt2img", DiffusionEntries::textToImage);
        entries.put("sdxl.text_encode", DiffusionEntries::joinedText);
        entries.put("ldm.single_file", DiffusionEntries::singleFile);
        entries.put("ldm.lora", DiffusionEntries::lora);
        entries.put("ldm.gligen", DiffusionEntries::textToImage);
        entries.put("ldm.img2img", DiffusionEntries::imageToImage);
        entries.put("ldm.inpaint", DiffusionEntries::inpaint);
        entries.put("ldm.upscale", DiffusionEntries::upscale);
        entries.put("ldm.super_resolution", DiffusionEntries::superResolution);
        entries.put("ldm.unconditional", DiffusionEntries::unconditional);
        entries.put("ldm.class_conditional", DiffusionEntries::classConditional);
        entries.put("ldm.semantic", DiffusionEntries::semantic);
    }

    private static Draws draws(Case c) {
        if (c.params().has("seed")) {
            return Draws.ofSeed(c.params().get("seed", 0L));
        }
        List<Tensor> given = new ArrayList<>();
        Tensor latents = c.optionalInput("latents");
        if (latents != null) {
            given.add(latents);
        }
        Tensor perStep = c.optionalInput("noise");
        if (perStep != null) {
            given.addAll(perStep.unbind(0));
        }
        for (int i = 0; c.optionalInput("noise_" + i) != null; i++) {
            given.add(c.input("noise_" + i));
        }
        return Draws.given(given);
    }

    static Settings settings(Json p) {
        Settings s = Settings.of(p.get("prompt", ""))
                .withNegative(p.has("negative_prompt") ? p.get("negative_prompt", "") : null)
                .withCount(p.get("images_per_prompt", 1))
                .withSize(p.get("width", 0), p.get("height", 0))
                .withSteps(p.requireInt("steps"))
                .withGuidance(p.get("guidance_scale", 7.5), p.get("guidance_rescale", 0.))
                .withClipSkip(p.get("clip_skip", 0))
                .withEta(p.get("eta", 0.));
        if (p.has("phrases")) {
            s = s.withBoxes(boxes(p), p.get("scheduled_sampling_beta", 0.3));
        }
        if (p.has("original_size") || p.has("crops_coords_top_left")) {
            int[] size = p.get("original_size", new int[] {s.height(), s.width()});
            int[] corner = p.get("crops_coords_top_left", new int[] {0, 0});
            s = s.withFraming(new Settings.Framing(size[0], size[1], corner[0], corner[1]));
        }
        return s;
    }

    private static List<Box> boxes(Json p) {
        List<String> phrases = p.get("phrases", List.of());
        List<Box> r = new ArrayList<>();
        if (p.value("boxes") instanceof List<?> edges) {
            for (int i = 0; i < edges.size(); i++) {
                double[] e = ((List<?>) edges.get(i))
                        .stream().mapToDouble(v -> ((Number) v).doubleValue()).toArray();
                r.add(new Box(phrases.get(i), e[0], e[1], e[2], e[3]));
            }
        }
        return r;
    }

    private static void ddpm(Case c, Answers answers) {
        Tensor latents = c.optionalInput("latents");
        int count = c.params().get("batch", latents == null ? 1 : (int) latents.size(0));
        try (DdpmPipeline pipeline = DdpmPipeline.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            int height = latents == null ? 0 : (int) latents.size(2);
            int width = latents == null ? 0 : (int) latents.size(3);
            Tensor image = pipeline.generate(
                    count,
                    c.optionalInput("class_labels"),
                    height,
                    width,
                    c.params().requireInt("steps"),
                    c.params().get("eta", 0.),
                    draws,
                    trace);
            trace.answer(answers, image);
            answers.put("samples", trace.samples());
        }
    }

    private static void textToImage(Case c, Answers answers) {
        try (StableDiffusion pipeline = StableDiffusion.load(c.model())) {
            textToImage(pipeline, c, answers);
        }
    }

    private static void textToImage(StableDiffusion pipeline, Case c, Answers answers) {
        try (Draws draws = draws(c);
                Trace trace = new Trace()) {
            Settings s = settings(c.params());
            Tensor latents = c.optionalInput("latents");
            if (s.width() == 0 && latents != null) {
                int factor = pipeline.vae().config().factor();
                s = s.withSize((int) latents.size(3) * factor, (int) latents.size(2) * factor);
            }
            trace.answer(answers, pipeline.generate(s, draws, trace));
        }
    }

    private static void singleFile(Case c, Answers answers) {
        try (StableDiffusion pipeline =
                StableDiffusion.load(c.model().resolve(c.params().require("checkpoint")))) {
            textToImage(pipeline, c, answers);
        }
    }

    private static void lora(Case c, Answers answers) {
        Condition text = Condition.ofText(c.input("encoder_hidden_states"));
        try (StableDiffusion pipeline = StableDiffusion.load(c.model())) {
            answers.put("unet_sample_without", pipeline.unet().forward(c.input("sample"), c.input("timesteps"), text));
            pipeline.addLora(c.file("lora"), c.params().get("lora_scale", 1.));
            answers.put("unet_sample", pipeline.unet().forward(c.input("sample"), c.input("timesteps"), text));
            answers.put(
                    "text_hidden",
                    pipeline.prompts()
                            .encode(List.of(c.params().require("prompt")), 0)
                            .tokens());
            textToImage(pipeline, c, answers);
        }
    }

    private static void joinedText(Case c, Answers answers) {
        PipelineFolder folder = PipelineFolder.ofParts(c.model());
        List<String> texts = c.params().get("texts", List.of());
        int width = c.params().requireInt("max_length");
        try (Prompts prompts = Prompts.load(folder, true)) {
            for (int i = 0; i < 2; i++) {
                answers.put(
                        i == 0 ? "input_ids" : "input_ids_2",
                        prompts.towers().get(i).ids(texts, width));
            }
            Prompts.Features features = prompts.encode(texts, 0);
            answers.put("prompt_embeds", features.tokens());
            if (features.pooled() != null) {
                answers.put("pooled_prompt_embeds", features.pooled());
            }
        }
    }

    /** The picture that a parameter names, made to fit multiples of a factor, in -1..1. */
    private static Tensor picture(Case c, Answers answers, int factor) {
        Image image = Images.read(c.file("image"));
        Tensor pixels =
                Pixels.of(image, image.width() / factor * factor, image.height() / factor * factor, Filter.LANCZOS);
        answers.put("pixel_values", pixels);
        return pixels;
    }

    private static void imageToImage(Case c, Answers answers) {
        try (StableDiffusion pipeline = StableDiffusion.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            Tensor picture = picture(c, answers, pipeline.vae().config().factor());
            double strength = c.params().get("strength", 0.8);
            trace.answer(answers, pipeline.generateFrom(picture, strength, settings(c.params()), draws, trace));
        }
    }

    private static void inpaint(Case c, Answers answers) {
        try (StableDiffusion pipeline = StableDiffusion.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            Settings s = settings(c.params());
            Tensor picture = Pixels.of(Images.read(c.file("image")), s.width(), s.height(), Filter.LANCZOS);
            Tensor mask = Pixels.mask(Images.read(c.file("mask")), s.width(), s.height(), Filter.LANCZOS);
            double strength = c.params().get("strength", 1.);
            trace.answer(answers, pipeline.repaint(picture, mask, strength, s, draws, trace));
        }
    }

    private static void upscale(Case c, Answers answers) {
        try (StableDiffusion pipeline = StableDiffusion.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            Tensor picture = picture(c, answers, pipeline.vae().config().factor());
            int level = c.params().get("noise_level", 20);
            trace.answer(answers, pipeline.enlarge(picture, level, settings(c.params()), draws, trace));
        }
    }

    private static void superResolution(Case c, Answers answers) {
        try (LatentDiffusion pipeline = LatentDiffusion.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            int steps = c.params().requireInt("steps");
            double eta = c.params().get("eta", 0.);
            trace.answer(answers, pipeline.enlarge(c.input("pixel_values"), steps, eta, draws, trace));
        }
    }

    private static void unconditional(Case c, Answers answers) {
        try (LatentDiffusion pipeline = LatentDiffusion.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            int steps = c.params().requireInt("steps");
            double eta = c.params().get("eta", 0.);
            trace.answer(answers, pipeline.generate(c.params().get("batch", 1), steps, eta, draws, trace));
        }
    }

    private static void classConditional(Case c, Answers answers) {
        try (ClassConditional pipeline = ClassConditional.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            Tensor latents = c.input("latents");
            int factor = pipeline.factor();
            Tensor image = pipeline.generate(
                    c.input("class_labels"),
                    (int) latents.size(2) * factor,
                    (int) latents.size(3) * factor,
                    c.params().requireInt("steps"),
                    c.params().get("guidance_scale", 1.),
                    draws,
                    trace);
            trace.answer(answers, image);
            answers.put("image", image);
        }
    }

    private static void semantic(Case c, Answers answers) {
        try (SemanticSynthesis pipeline = SemanticSynthesis.load(c.model());
                Draws draws = draws(c);
                Trace trace = new Trace()) {
            Tensor map = c.input("segmentation");
            answers.put("condition", pipeline.condition(map));
            Tensor image = pipeline.generate(map, c.params().requireInt("steps"), draws, trace);
            trace.answer(answers, image);
            answers.put("image", image);
        }
    }
}
