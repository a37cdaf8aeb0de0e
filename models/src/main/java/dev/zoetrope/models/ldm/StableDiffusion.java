package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.unet.DeepCache;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.NoiseTable;
import dev.zoetrope.schedulers.Plan;
import dev.zoetrope.schedulers.Run;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.schedulers.StepOptions;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Stable Diffusion 1.x and 2.x (arXiv:2112.10752) and SDXL (arXiv:2307.01952): text to image, image to image,
 * in-painting with networks for it and without, boxes with phrases (arXiv:2301.07093), and four-fold enlargement guided
 * by text. Which of it a pipeline can do depends on its U-Net.
 *
 * <p>Axes: B pictures, H x W pixels, C latent channels, h x w latents. Not for use by several threads at once.
 */
public final class StableDiffusion implements AutoCloseable {
    private static final int BOX_SLOTS = 30;

    /** Latents of a batch, both halves under guidance counted, up to which it goes through the network at once. */
    private static final long POSITIONS_AT_ONCE = 8 * 64 * 64;

    /**
     * What a pipeline consists of.
     *
     * @param origin configurations and files that the parts came from
     * @param lowResolution noises the picture that is enlarged; null in pipelines that do not enlarge
     * @param zeroNegative whether SDXL's features of no text are zeros, and not those of an empty text
     * @param streamed whether the network holds only one level of its weights at a time
     */
    public record Parts(
            Scheduler scheduler,
            PipelineOrigin origin,
            Prompts prompts,
            ConditionalUnet unet,
            AutoencoderKl vae,
            @Nullable NoiseTable lowResolution,
            boolean zeroNegative,
            boolean streamed) {}

    private final Scheduler scheduler;
    private final PipelineOrigin origin;
    private final Prompts prompts;
    private final ConditionalUnet unet;
    private final AutoencoderKl vae;
    private final @Nullable NoiseTable lowResolution;
    private final boolean zeroNegative;
    private final boolean streamed;

    public StableDiffusion(Parts parts) {
        scheduler = parts.scheduler;
        origin = parts.origin;
        prompts = parts.prompts;
        unet = parts.unet;
        vae = parts.vae;
        lowResolution = parts.lowResolution;
        zeroNegative = parts.zeroNegative;
        streamed = parts.streamed;
    }

    /**
     * From a folder with model_index.json; or Stable Diffusion 1.x from the one file of the original release and its
     * descendants, with CLIP's tokenizer in a folder {@code tokenizer} beside it.
     */
    public static StableDiffusion load(Path folder) {
        return load(folder, false);
    }

    /** @param lowMemory whether the network's weights are read level by level in each step; guidance then takes two passes */
    public static StableDiffusion load(Path folder, boolean lowMemory) {
        if (Files.isRegularFile(folder)) {
            if (lowMemory) {
                throw new UserError(
                        folder + ": weights in one file are not read level by level; write them as a folder "
                                + "first, with zoetrope export");
            }
            return new StableDiffusion(SingleFile.load(folder)).checked(folder);
        }
        PipelineFolder f = PipelineFolder.open(folder);
        if (f.index().get("requires_aesthetics_score", false)) {
            throw new UserError(folder + ": SDXL's refiner is not supported; open the base model");
        }
        for (String part : List.of("tokenizer", "text_encoder", "unet", "vae", "scheduler")) {
            if (f.names(part)) {
                f.part(part);
            }
        }
        boolean xl = f.names("text_encoder_2");
        NoiseTable low = f.names("low_res_scheduler")
                ? NoiseTable.of(Json.read(f.part("low_res_scheduler").resolve("scheduler_config.json")))
                : null;
        Scheduler scheduler = f.scheduler();
        List<AutoCloseable> open = new ArrayList<>();
        try {
            Prompts prompts = Prompts.load(f, xl);
            open.add(prompts);
            Path network = f.part("unet");
            ConditionalUnet unet = lowMemory
                    ? ConditionalUnet.stream(network, w -> PipelineFolder.requireFinite(network.toString(), w))
                    : ConditionalUnet.load(network);
            open.add(unet);
            AutoencoderKl vae = AutoencoderKl.load(f.part("vae"));
            open.add(vae);
            return new StableDiffusion(new Parts(
                            scheduler,
                            PipelineOrigin.of(f),
                            prompts,
                            unet,
                            vae,
                            low,
                            f.index().get("force_zeros_for_empty_prompt", xl),
                            lowMemory))
                    .checked(folder);
        } catch (RuntimeException e) {
            open.forEach(StableDiffusion::closeQuietly);
            throw e;
        }
    }

    private StableDiffusion checked(Path source) {
        weights()
                .forEach((part, w) ->
                        PipelineFolder.requireFinite(source.resolve(part).toString(), w));
        PipelineFolder.requireFinite(source.resolve("vae").toString(), vae.weights());
        return this;
    }

    private static void closeQuietly(AutoCloseable part) {
        try {
            part.close();
        } catch (Exception e) {
            // the failure that led here is the one to report
        }
    }

    /** The same pipeline with another scheduler; they share their parts, and closing one closes both. */
    public StableDiffusion with(Scheduler other) {
        return new StableDiffusion(new Parts(other, origin, prompts, unet, vae, lowResolution, zeroNegative, streamed));
    }

    /**
     * One picture of the size trained on, with 25 steps and guidance 7.5 unless model_index.json says otherwise by
     * {@code default_steps} and {@code default_guidance}, which this project's recipes write.
     */
    public Settings defaults(String prompt) {
        Json index = origin.index();
        return Settings.of(prompt)
                .withSteps(index.get("default_steps", 25))
                .withGuidance(index.get("default_guidance", 7.5), 0);
    }

    public Prompts prompts() {
        return prompts;
    }

    public ConditionalUnet unet() {
        return unet;
    }

    public AutoencoderKl vae() {
        return vae;
    }

    public Scheduler scheduler() {
        return scheduler;
    }

    /** What the pipeline's own scheduler was made from. */
    public Json schedulerConfig() {
        return origin.config("scheduler");
    }

    /**
     * Writes the pipeline as a folder that diffusers reads, with the weights as they are now, LoRAs included. The folder
     * appears complete or not at all.
     */
    public void save(Path folder) {
        save(folder, null);
    }

    /** @param dtype of all that is floating in the files; null for what each tensor has */
    public void save(Path folder, @Nullable DType dtype) {
        requireHeld("saved");
        Map<String, Weights> all = weights();
        all.put("vae", vae.weights());
        origin.write(folder, all, dtype);
    }

    private void requireHeld(String what) {
        if (streamed) {
            throw new UserError("weights that are read level by level (low memory) cannot be " + what
                    + "; write the pipeline with its LoRAs as a folder first, with zoetrope export");
        }
    }

    /** Whether the network was made to repaint, and takes a mask and the rest of the picture beside the noise. */
    public boolean repaints() {
        return unet.config().inChannels() == 2 * latentChannels() + 1;
    }

    /** Whether the network was made to enlarge. */
    public boolean enlarges() {
        return lowResolution != null;
    }

    private int latentChannels() {
        return vae.config().latentChannels();
    }

    private int factor() {
        return vae.config().factor();
    }

    // ---- what it does ----

    /** Pictures from a prompt, {@code [B, 3, H, W]} in 0..1. */
    public Tensor generate(Settings settings, Draws draws, Denoising.Observer observer) {
        return generate(null, settings, draws, observer);
    }

    /**
     * The same from what another model thinks a prompt's features are.
     *
     * @param features {@code [1, T, F]}; null for those of the prompt
     */
    public Tensor generate(@Nullable Tensor features, Settings settings, Draws draws, Denoising.Observer observer) {
        requireChannels(latentChannels(), "draws from a prompt alone");
        Settings s = sized(settings);
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                DeepCache cache = new DeepCache(s.deepEvery());
                Run run = scheduler.start(plan(s, 0))) {
            Tensor start = noise(s, draws).mul(run.initialScale());
            Denoising.Network network = network(s, features, run, null, null, cache);
            return scope.keep(decode(s, Denoising.run(run, start, network, draws, observer)));
        }
    }

    /**
     * Pictures like a given one.
     *
     * @param picture {@code [1, 3, H, W]} in -1..1, H and W multiples of the autoencoder's factor
     * @param strength how much of the way from noise is gone: near 0 the picture stays, at 1 it only starts the noise
     */
    public Tensor generateFrom(
            Tensor picture, double strength, Settings settings, Draws draws, Denoising.Observer observer) {
        requireChannels(latentChannels(), "starts from a picture");
        Settings s = settings.withSize((int) picture.size(3), (int) picture.size(2));
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                DeepCache cache = new DeepCache(s.deepEvery());
                Run run = scheduler.start(plan(s, begin(s, strength)))) {
            Tensor clean = encoded(picture, draws).repeat(s.count(), 1, 1, 1);
            Tensor start = run.addNoise(clean, noise(s, draws), run.timestep());
            return scope.keep(
                    decode(s, Denoising.run(run, start, network(s, null, run, null, null, cache), draws, observer)));
        }
    }

    /**
     * Pictures in which what a mask shows is painted anew.
     *
     * @param picture {@code [1, 3, H, W]} in -1..1, H and W multiples of the autoencoder's factor
     * @param mask 1 where to repaint, else 0, {@code [1, 1, H, W]}
     * @param strength 1 starts from noise alone
     */
    public Tensor repaint(
            Tensor picture, Tensor mask, double strength, Settings settings, Draws draws, Denoising.Observer observer) {
        if (!repaints()) {
            requireChannels(latentChannels(), "repaints");
        }
        Settings s = settings.withSize((int) picture.size(3), (int) picture.size(2));
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                DeepCache cache = new DeepCache(s.deepEvery());
                Run run = scheduler.start(plan(s, begin(s, strength)))) {
            boolean pure = strength == 1;
            // The order of drawing is the reference's: the picture, the noise, what the mask leaves of the picture.
            Tensor clean = pure && repaints() ? null : encoded(picture, draws).repeat(s.count(), 1, 1, 1);
            Tensor noise = noise(s, draws);
            Tensor start =
                    clean == null || pure ? noise.mul(run.initialScale()) : run.addNoise(clean, noise, run.timestep());
            Tensor small = Functional.interpolate(
                    mask, noise.size(2), noise.size(3), Functional.Interpolation.NEAREST, false, false);
            Tensor rest = encoded(picture.mul(mask.rsub(1)), draws);
            Tensor beside = repaints() ? Tensor.cat(1, small, rest).repeat(s.count(), 1, 1, 1) : null;
            Denoising.Anchor anchor =
                    repaints() || clean == null ? Denoising.Anchor.NONE : (r, x) -> held(r, x, clean, noise, small);
            return scope.keep(decode(
                    s, Denoising.run(run, start, network(s, null, run, beside, null, cache), draws, anchor, observer)));
        }
    }

    /** What the mask keeps is the picture itself, noised as the next step expects it. */
    private static Tensor held(Run run, Tensor x, Tensor clean, Tensor noise, Tensor mask) {
        Tensor known = run.done() ? clean : run.addNoise(clean, noise, run.timestep());
        return known.mul(mask.rsub(1)).add(x.mul(mask));
    }

    /**
     * A picture enlarged as often as the autoencoder's factor says, four times in stable-diffusion-x4-upscaler.
     *
     * @param picture {@code [1, 3, h, w]} in -1..1
     * @param noiseLevel timestep as far as which the picture is noised first
     */
    public Tensor enlarge(Tensor picture, int noiseLevel, Settings settings, Draws draws, Denoising.Observer observer) {
        if (lowResolution == null) {
            throw new UserError("this pipeline does not enlarge: it has no low_res_scheduler; open one such as "
                    + "stabilityai/stable-diffusion-x4-upscaler");
        }
        requireChannels(latentChannels() + (int) picture.size(1), "enlarges");
        Settings s = settings.withSize((int) picture.size(3) * factor(), (int) picture.size(2) * factor());
        try (Autograd.Mode off = Autograd.off();
                Scope scope = Scope.open();
                DeepCache cache = new DeepCache(s.deepEvery());
                Run run = scheduler.start(plan(s, 0))) {
            Tensor level = Tensor.of(new long[] {noiseLevel}, 1);
            Tensor noised = lowResolution.addNoise(picture, draws.draw(picture.shape()), level);
            Tensor start = noise(s, draws).mul(run.initialScale());
            return scope.keep(decode(
                    s,
                    Denoising.run(
                            run,
                            start,
                            network(s, null, run, noised.repeat(s.count(), 1, 1, 1), noiseLevel, cache),
                            draws,
                            observer)));
        }
    }

    // ---- the network under guidance ----

    private Denoising.Network network(
            Settings s,
            @Nullable Tensor features,
            Run run,
            @Nullable Tensor beside,
            @Nullable Integer level,
            DeepCache cache) {
        Guidance guidance = new Guidance(s.guidance(), s.rescale());
        boolean guided = guidance.isOn() && unet.config().time().guidanceWidth() == 0;
        int rows = guided ? 2 * s.count() : s.count();
        Condition condition = condition(s, features, guided, rows);
        if (level != null) {
            condition = condition.withLabels(Tensor.full(level, DType.INT64, dev.zoetrope.tensor.Device.CPU, rows));
        }
        Condition plain = condition;
        Condition boxed = s.boxes().isEmpty() ? plain : plain.withObjects(objects(s.boxes(), guided, rows));
        int boxedCalls = (int) (s.boxShare() * run.timesteps().length);
        Tensor more = beside == null || !guided ? beside : Tensor.cat(0, beside, beside);
        return (input, timestep) -> {
            Tensor x = guided ? Tensor.cat(0, input, input) : input;
            if (more != null) {
                x = Tensor.cat(1, x, more);
            }
            cache.nextStep();
            Tensor both = predicted(x, timestep, run.calls() < boxedCalls ? boxed : plain, guided, cache);
            return guided ? guidance.of(both) : both;
        };
    }

    /** Both halves under guidance in one pass, or in two where one would take much memory. */
    private Tensor predicted(Tensor x, double timestep, Condition condition, boolean guided, DeepCache cache) {
        long rows = x.size(0);
        boolean twice = guided && (streamed || rows * x.size(2) * x.size(3) > POSITIONS_AT_ONCE);
        if (!twice) {
            return unet.forward(x, Tensor.full(timestep, rows), condition, cache);
        }
        List<Tensor> halves = new ArrayList<>();
        for (long from = 0; from < rows; from += rows / 2) {
            halves.add(unet.forward(
                    x.narrow(0, from, rows / 2),
                    Tensor.full(timestep, rows / 2),
                    condition.rows(from, rows / 2),
                    cache));
        }
        return Tensor.cat(0, halves);
    }

    private Condition condition(Settings s, @Nullable Tensor features, boolean guided, int rows) {
        Prompts.Features wanted = features == null
                ? prompts.encode(List.of(s.prompt()), s.clipSkip())
                : new Prompts.Features(features, null);
        Prompts.Features all = wanted.times(s.count());
        if (guided) {
            Prompts.Features negative = s.negative() == null && zeroNegative
                    ? wanted.zeros()
                    : prompts.encode(List.of(s.negative() == null ? "" : s.negative()), 0);
            all = all.after(negative.times(s.count()));
        }
        Condition r = Condition.ofText(all.tokens());
        if (unet.config().time().sizeWidth() > 0) {
            r = r.withSizes(all.pooled(), sizes(s).repeat(rows, 1));
        }
        int width = unet.config().time().guidanceWidth();
        return width == 0 ? r : r.withGuidance(strength(s.guidance() - 1, width).repeat(rows, 1));
    }

    private static Tensor sizes(Settings s) { // [1, 6]
        Settings.Framing f = s.framing() == null ? new Settings.Framing(s.height(), s.width(), 0, 0) : s.framing();
        return Tensor.of(
                new float[] {f.originalHeight(), f.originalWidth(), f.top(), f.left(), s.height(), s.width()}, 1, 6);
    }

    /** The guidance that distilled networks take as an input, arXiv:2310.04378: {@code [1, width]}. */
    private static Tensor strength(double guidance, int width) {
        int half = width / 2;
        Tensor frequencies = Tensor.arange(half)
                .to(DType.FLOAT32)
                .mul(-Math.log(10000) / (half - 1))
                .exp();
        Tensor angles = frequencies.mul(guidance * 1000);
        Tensor waves = Tensor.cat(0, angles.sin(), angles.cos()).unsqueeze(0);
        return width % 2 == 0 ? waves : Functional.pad(waves, 0., 0, 1);
    }

    private Tensor objects(List<Box> boxes, boolean guided, int rows) {
        if (boxes.size() > BOX_SLOTS) {
            throw new UserError(boxes.size() + " boxes; at most " + BOX_SLOTS + " are seen");
        }
        Tensor phrases = prompts.phrases(boxes.stream().map(Box::phrase).toList()); // [n, F]
        float[] edges = new float[BOX_SLOTS * 4];
        for (int i = 0; i < boxes.size(); i++) {
            Box b = boxes.get(i);
            edges[4 * i] = (float) b.left();
            edges[4 * i + 1] = (float) b.top();
            edges[4 * i + 2] = (float) b.right();
            edges[4 * i + 3] = (float) b.bottom();
        }
        float[] used = new float[BOX_SLOTS];
        java.util.Arrays.fill(used, 0, boxes.size(), 1);
        Tensor padded = Functional.pad(phrases, 0., 0, 0, 0, BOX_SLOTS - boxes.size()); // [30, F]
        Tensor mask = Tensor.of(used, 1, BOX_SLOTS);
        int steered = guided ? rows / 2 : rows;
        List<Tensor> masks = new ArrayList<>();
        if (guided) {
            masks.add(mask.mul(0.0).repeat(steered, 1));
        }
        masks.add(mask.repeat(steered, 1));
        return unet.objects(
                Tensor.of(edges, 1, BOX_SLOTS, 4).repeat(rows, 1, 1),
                Tensor.cat(0, masks),
                padded.unsqueeze(0).repeat(rows, 1, 1));
    }

    // ---- sizes, noise, latents ----

    /** With the size trained on where none is given; refuses one that latents cannot have. */
    private Settings sized(Settings s) {
        ConditionalUnet.Config c = unet.config();
        int width = s.width() == 0 ? c.width() * factor() : s.width();
        int height = s.height() == 0 ? c.height() * factor() : s.height();
        if (width <= 0 || height <= 0) {
            throw new UserError("unet/config.json: sample_size is not given, so the size of the picture must be");
        }
        if (width % factor() != 0 || height % factor() != 0) {
            throw new UserError("a picture of " + width + " x " + height + " is not possible: width and height must be "
                    + "multiples of " + factor() + "; the nearest is " + rounded(width) + " x " + rounded(height));
        }
        return s.withSize(width, height);
    }

    private int rounded(int pixels) {
        return Math.max(factor(), Math.round((float) pixels / factor()) * factor());
    }

    private Plan plan(Settings s, int begin) {
        return Plan.of(s.steps()).from(begin).with(StepOptions.DEFAULT.withEta(s.eta()));
    }

    private int begin(Settings s, double strength) {
        if (!(strength > 0 && strength <= 1)) {
            throw new UserError("strength " + strength + " is not above 0 and up to 1");
        }
        int kept = Math.min((int) (s.steps() * strength), s.steps());
        if (kept < 1) {
            throw new UserError("of " + s.steps() + " steps a strength of " + strength
                    + " leaves none; take more steps or more strength");
        }
        return (s.steps() - kept) * scheduler.callsPerStep();
    }

    private Tensor noise(Settings s, Draws draws) {
        return draws.draw(s.count(), latentChannels(), s.height() / factor(), s.width() / factor());
    }

    private Tensor encoded(Tensor picture, Draws draws) { // [1, 3, H, W] -> [1, C, h, w]
        var posterior = vae.encode(picture);
        Tensor noise = draws.draw(posterior.mean().shape());
        return vae.scaled(posterior.sample(noise));
    }

    private Tensor decode(Settings s, Tensor latents) {
        Tensor z = vae.unscaled(latents);
        return Pixels.unit(s.tiled() ? vae.decode(z, vae.config().tiling()) : vae.decode(z));
    }

    private void requireChannels(int channels, String what) {
        int found = unet.config().inChannels();
        if (found != channels) {
            throw new UserError("unet: in_channels " + found + ", but a network that " + what + " has " + channels
                    + (repaints() ? "; this one repaints: give a picture and a mask" : "")
                    + (enlarges() ? "; this one enlarges pictures" : ""));
        }
    }

    /**
     * Adds a LoRA to the weights, for as long as the pipeline is open; several add up. A file of another model is refused
     * with the names of what does not fit.
     *
     * @param file of diffusers, peft or kohya
     * @param strength factor on its changes
     */
    public void addLora(Path file, double strength) {
        requireHeld("changed by a LoRA");
        try (Scope s = Scope.open()) {
            LoraFile.read(file).addTo(weights(), strength);
        }
    }

    /** Weights by the names that pipelines give to their parts. */
    public Map<String, Weights> weights() {
        Map<String, Weights> r = new LinkedHashMap<>();
        r.put("unet", unet.weights());
        for (int i = 0; i < prompts.towers().size(); i++) {
            r.put(
                    i == 0 ? "text_encoder" : "text_encoder_2",
                    prompts.towers().get(i).encoder().weights());
        }
        return r;
    }

    @Override
    public void close() {
        prompts.close();
        unet.close();
        vae.close();
    }
}
