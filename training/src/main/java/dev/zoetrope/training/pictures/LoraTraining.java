package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.ldm.Pixels;
import dev.zoetrope.models.ldm.Prompts;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.ldm.StableDiffusion;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.nn.Adapters;
import dev.zoetrope.nn.Lora;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Samplers;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.diffusion.NoiseLoss;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Teaches an existing Stable Diffusion pipeline a style or a thing by low-rank changes of its attention,
 * arXiv:2106.09685, from captioned pictures or from a few under one prompt as DreamBooth does, arXiv:2208.12242: with a
 * prior, pictures that the pipeline itself made of the thing's kind are trained on too, so that the kind is not
 * forgotten. The changes are written to {@code model/pytorch_lora_weights.safetensors}, which diffusers loads.
 */
public final class LoraTraining implements Trainer.Objective {
    private static final String STAGE = "lora";
    private static final String FILE = "pytorch_lora_weights.safetensors";
    private static final String TEXT_ROOT = "text_model.";
    private static final int SHEET = 4;
    private static final int SHEET_STEPS = 20;
    private static final List<String> OF_UNET = List.of("to_q", "to_k", "to_v", "to_out.0");
    private static final List<String> OF_TEXT = List.of("q_proj", "k_proj", "v_proj", "out_proj");

    /** Pictures with what they count; a prompt in place of their captions, or none. */
    private record Source(PictureData.Latents latents, double weight, String prompt) {
        String caption(String own) {
            return prompt.isEmpty() ? own : prompt;
        }
    }

    private final StableDiffusion pipeline;
    private final ConditionalUnet unet;
    private final Json train;
    private final NoiseLoss loss;
    private final Map<String, Adapters> adapters = new LinkedHashMap<>(); // by the part they belong to
    private final Lora.Config config;
    private final Source instances;
    private final @Nullable Source prior;
    private final PictureData.Shape shape;
    private final double dropped;
    private final double offset;

    private LoraTraining(
            Json recipe,
            StableDiffusion pipeline,
            PictureData data,
            @Nullable PictureData priorData,
            RandomSource random,
            Map<String, Weights> drawn) {
        this.pipeline = pipeline;
        unet = pipeline.unet();
        train = recipe.at("train");
        shape = data.shape();
        int channels = pipeline.vae().config().latentChannels();
        if (unet.config().inChannels() != channels) {
            throw new UserError("the pipeline's unet takes " + unet.config().inChannels() + " channels, for "
                    + "repainting or enlarging; a LoRA is trained on one that takes the " + channels + " of latents");
        }
        loss = DdpmTraining.noiseLoss(train, pipeline.schedulerConfig());
        Json lora = recipe.at("lora");
        int rank = lora.get("rank", 8);
        double alpha = lora.get("alpha", (double) rank);
        double dropout = lora.get("dropout", 0.);
        config = Lora.Config.of(
                rank, alpha, dropout, lora.get("targets", OF_UNET).toArray(String[]::new));
        pipeline.weights().values().forEach(w -> w.requireGrad(false));
        pipeline.vae().weights().requireGrad(false);
        boolean text = lora.get("text_encoder", false);
        Lora.Config ofText = Lora.Config.of(rank, alpha, dropout, OF_TEXT.toArray(String[]::new));
        pipeline.weights().forEach((part, weights) -> {
            if (part.equals("unet") || text) {
                Weights w = Weights.draw(random);
                drawn.put(part, w);
                adapters.put(part, new Adapters(part.equals("unet") ? config : ofText, weights, w));
            }
        });
        adapters.values().forEach(a -> a.attach(1));
        instances = new Source(data.latents(this::encode), 1, train.get("prompt", ""));
        Json kept = recipe.at("prior");
        prior = priorData == null
                ? null
                : new Source(priorData.latents(this::encode), kept.get("weight", 1.), kept.require("prompt"));
        dropped = train.get("caption_dropout", 0.);
        offset = train.get("noise_offset", 0.);
    }

    private Tensor encode(Tensor pictures) {
        try (Scope s = Scope.open()) {
            AutoencoderKl vae = pipeline.vae();
            return s.keep(vae.scaled(vae.encode(pictures).mean()));
        }
    }

    /** Runs what is left of the training. @return whether it is done */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json j = recipe.settings();
        long seed = j.get("seed", 0L);
        Map<String, Weights> drawn = new LinkedHashMap<>();
        try (RandomSource random = RandomSource.of(seed);
                StableDiffusion pipeline = StableDiffusion.load(Path.of(j.require("pipeline")));
                PictureData data = PictureData.of(j.at("data"), j.at("train"), seed, listener);
                @Nullable PictureData prior = prior(j, pipeline, folder, seed, listener)) {
            LoraTraining t = new LoraTraining(j, pipeline, data, prior, random, drawn);
            Map<String, Tensor> parameters = new LinkedHashMap<>();
            drawn.forEach((part, w) -> w.named().forEach((name, value) -> parameters.put(part + "." + name, value)));
            boolean done = new Trainer(
                            STAGE, Trainer.Settings.of(j.at("train")), parameters, List.of(), t, folder, listener)
                    .run((step, board) -> t.samples(folder, board, step));
            if (done) {
                Path file = t.export(folder);
                listener.message("the LoRA is in " + file + "; use it with --lora " + file + Exports.remarks(data));
            }
            return done;
        } finally {
            drawn.values().forEach(Weights::close);
        }
    }

    /** Pictures of the kind, which the pipeline draws first where the recipe names no folder of them. */
    private static @Nullable PictureData prior(
            Json j, StableDiffusion pipeline, RunFolder folder, long seed, TrainingListener listener) {
        if (!j.has("prior")) {
            return null;
        }
        Json prior = j.at("prior");
        String path = prior.get("path", "");
        if (path.isEmpty()) {
            Path made = folder.file("prior");
            draw(pipeline, prior.require("prompt"), prior.get("count", 50), made, listener);
            path = made.toString();
        }
        return PictureData.of(j.at("data").with("path", path), j.at("train"), seed, listener);
    }

    private static void draw(StableDiffusion pipeline, String prompt, int count, Path to, TrainingListener listener) {
        Settings settings = pipeline.defaults(prompt);
        for (int i = 0; i < count; i++) {
            Path file = to.resolve(i + ".png");
            if (Files.exists(file)) {
                continue; // of a run that goes on
            }
            try (Draws draws = Draws.ofSeed(i);
                    Scope s = Scope.open()) {
                Tensor picture = pipeline.generate(settings, draws, Denoising.Observer.NONE);
                Images.write(Pixels.images(picture).get(0), file);
            }
            listener.message("prior: picture " + (i + 1) + " of " + count);
        }
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        Tensor r = loss(instances, share, random);
        metrics.add("loss_of_pictures", r.item());
        if (prior != null) {
            Tensor kept = loss(prior, share, random);
            metrics.add("loss_of_prior", kept.item());
            r = r.add(kept.mul(prior.weight()));
        }
        return r;
    }

    private Tensor loss(Source source, Trainer.Share share, RandomSource random) {
        PictureData.Batch batch = source.latents().batch(share);
        List<String> captions = batch.captions().stream()
                .map(source::caption)
                .map(c -> random.chance(dropped) ? "" : c)
                .toList();
        if (dropped == 0 && captions.stream().allMatch(String::isEmpty)) {
            throw new UserError("the pictures have no captions: say what they show with train.prompt, such as "
                    + "\"a photo of sks dog\"");
        }
        Tensor latents = batch.values();
        Tensor noise = random.normal(latents.shape());
        if (offset > 0) {
            noise = noise.add(
                    random.normal(latents.size(0), latents.size(1), 1, 1).mul(offset));
        }
        Tensor timesteps = random.integers(0, loss.table().size(), captions.size());
        Condition condition = condition(captions);
        return loss.of((noisy, t) -> unet.forward(noisy, t, condition), latents, noise, timesteps);
    }

    private Condition condition(List<String> captions) {
        Prompts.Features f = pipeline.prompts().encode(captions, 0);
        Condition r = Condition.ofText(f.tokens());
        if (unet.config().time().sizeWidth() == 0) {
            return r;
        }
        float[] whole = {shape.height(), shape.width(), 0, 0, shape.height(), shape.width()};
        return r.withSizes(f.pooled(), Tensor.of(whole, 1, whole.length).repeat(captions.size(), 1));
    }

    private void samples(RunFolder folder, TensorBoard board, long step) {
        String prompt = train.get("sample_prompt", instances.prompt());
        if (prompt.isEmpty()) {
            return;
        }
        Settings settings = pipeline.defaults(prompt)
                .withSteps(SHEET_STEPS)
                .withCount(SHEET)
                .withSize(shape.width(), shape.height());
        StableDiffusion quick = pipeline.with(Samplers.of("ddim", pipeline.schedulerConfig()));
        try (Scope s = Scope.open();
                Draws draws = Draws.ofSeed(0)) {
            Exports.sheet(
                    folder, board, STAGE, "samples", quick.generate(settings, draws, Denoising.Observer.NONE), step);
        }
    }

    /** In peft's names below diffusers' parts. Readers take alpha to be the rank, so the scale goes into B. */
    private Path export(RunFolder folder) {
        Map<String, Tensor> all = new LinkedHashMap<>();
        Path file = Exports.freshModel(folder).resolve(FILE);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            adapters.forEach((part, a) -> a.weights().named().forEach((name, value) -> {
                String path = part.equals("unet") || name.startsWith(TEXT_ROOT) ? name : TEXT_ROOT + name;
                Tensor scaled = name.endsWith("lora_B.weight") ? value.mul(config.scale()) : value;
                all.put(part + "." + path, scaled.detach());
            }));
            Safetensors.write(file, all, Map.of("format", "pt"));
        }
        return file;
    }
}
