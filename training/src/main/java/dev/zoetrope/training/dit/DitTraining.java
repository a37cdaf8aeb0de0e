package dev.zoetrope.training.dit;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Clip;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.models.dit.Dit;
import dev.zoetrope.models.dit.DitPipeline;
import dev.zoetrope.models.dit.PictureCode;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.VideoTensors;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.ModelFolder;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.diffusion.HybridLoss;
import dev.zoetrope.training.judge.ObjectJudge;
import dev.zoetrope.training.pictures.PictureData;
import dev.zoetrope.world.WorldObject;
import dev.zoetrope.world.WorldObjects;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Trains a {@link Dit} on pictures and their classes, such as those of Carousel by their objects: noise and variance are learned
 * together, and a tenth of the labels say "no class", so that samples can be guided. It works on latents of an
 * autoencoder of pictures, of the built-in video autoencoder, or on pixels.
 */
public final class DitTraining {
    private static final int TIMESTEPS = 1000;
    private static final int SHEET = 32;
    private static final String NAME = "dit";
    private static final String VIDEO = "autoencoder";
    private static final String PIXELS = "pixels";

    private final Json recipe;
    private final Json stage;
    private final RunFolder folder;
    private final TrainingListener listener;
    private final PictureData data;
    private final List<String> classes;
    private final String latents; // VIDEO, PIXELS, or the folder of an autoencoder
    private final PictureCode code;
    private final Weights weights;
    private final Dit dit;
    private final PictureData.Latents encoded;
    private final HybridLoss objective;
    private final double dropped;

    private DitTraining(Recipe r, RunFolder folder, TrainingListener listener) {
        this.recipe = r.settings();
        this.stage = recipe.at(NAME);
        this.folder = folder;
        this.listener = listener;
        data = PictureData.of(recipe.at("data"), stage, recipe.get("seed", 0L), listener);
        classes = data.classes();
        latents = recipe.get("latents", VIDEO);
        code = switch (latents) {
            case VIDEO -> PictureCode.video(BuiltIn.folder(BuiltIn.SORA).resolve("autoencoder"));
            case PIXELS -> PictureCode.pixels();
            default -> PictureCode.kl(Path.of(latents));
        };
        encoded = data.latents(this::encode);
        objective = HybridLoss.linear(TIMESTEPS, stage.get("vb_weight", 0.001));
        dropped = stage.get("label_dropout", 0.1);
        try (RandomSource random = RandomSource.of(recipe.get("seed", 0L))) {
            weights = Weights.draw(random);
            dit = new Dit(config(), weights);
        }
    }

    private Dit.Config config() {
        Check.equal(data.shape().width(), data.shape().height(), "width of pictures", "their height");
        Json m = recipe.at("model");
        int hidden = m.get("hidden_size", 192);
        int heads = m.get("heads", 6);
        int channels = code.channels();
        return new Dit.Config(
                data.shape().height() / code.factor(),
                m.get("patch_size", 1),
                channels,
                2 * channels,
                m.get("layers", 6),
                heads,
                hidden / heads,
                classes.size(),
                true,
                4,
                1e-6,
                1);
    }

    /** @return whether all steps are taken and the model is written */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        DitTraining t = new DitTraining(recipe, folder, listener);
        try (t.weights;
                t.code;
                t.encoded;
                t.data) {
            boolean done = new Trainer(
                            NAME, Trainer.Settings.of(t.stage), t.weights.named(), List.of(), t::loss, folder, listener)
                    .run(t::observe);
            if (done) {
                t.export();
            }
            return done;
        }
    }

    private Tensor encode(Tensor pictures) {
        return code.encode(pictures);
    }

    private Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        PictureData.Batch batch = encoded.batch(share);
        Tensor clean = batch.values();
        long[] labels = batch.labels().stream()
                .mapToLong(label -> random.chance(dropped) ? classes.size() : label)
                .toArray();
        Tensor label = Tensor.of(labels, labels.length);
        HybridLoss.Parts r = objective.of(
                (x, t) -> dit.forward(x, t, label),
                clean,
                random.normal(clean.shape()),
                random.integers(0, TIMESTEPS, labels.length));
        metrics.add("noise", r.noise().item());
        metrics.add("bound", r.bound().item());
        return r.loss();
    }

    /** A sheet of guided samples of the first classes, and how many of them the judge recognises. */
    private void observe(long step, TensorBoard board) {
        List<Integer> labels =
                IntStream.range(0, SHEET).mapToObj(i -> i % classes.size()).toList();
        Dit.Config c = dit.config();
        List<Image> pictures = new ArrayList<>();
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                RandomSource random = RandomSource.of(step);
                ObjectJudge judge = ObjectJudge.builtIn()) {
            Tensor latents = DitPipeline.denoise(
                    dit,
                    scheduler(),
                    random.normal(SHEET, c.inChannels(), c.side(), c.side()),
                    labels,
                    stage.get("sample_steps", 25),
                    stage.get("sample_guidance", 3.),
                    random::normal,
                    Denoising.Observer.NONE);
            Tensor decoded = code.decode(latents).clamp(-1, 1); // [B, 3, H, W]
            List<String> names =
                    WorldObjects.all().stream().map(WorldObject::name).toList();
            int right = 0;
            for (int i = 0; i < SHEET; i++) {
                Tensor one = decoded.select(0, i).unsqueeze(1);
                right += names.get(judge.classify(one)).equals(classes.get(labels.get(i))) ? 1 : 0;
                Clip clip = VideoTensors.toClip(one, 1);
                pictures.add(clip.frames().get(0));
            }
            double accuracy = right / (double) SHEET;
            board.scalar(NAME + "/recognised", accuracy, step);
            listener.report(step, Map.of("recognised", accuracy));
        }
        Image sheet = Image.sheet(pictures, 8);
        Images.write(sheet, folder.file("samples.png"));
        board.image(NAME + "/samples", Images.png(sheet, Map.of()), sheet.width(), sheet.height(), step);
    }

    private static Map<String, Object> schedule() {
        return ModelFolder.ordered(
                "_class_name", "DDPMScheduler",
                "num_train_timesteps", TIMESTEPS,
                "beta_schedule", "linear",
                "beta_start", 0.0001,
                "beta_end", 0.02,
                "clip_sample", false,
                "prediction_type", "epsilon",
                "timestep_spacing", "trailing",
                "variance_type", "learned_range");
    }

    private static Scheduler scheduler() {
        return Scheduler.of(Json.of("the schedule of the recipe", schedule()));
    }

    /** Names and configuration are diffusers', but for the video autoencoder. */
    private void export() {
        Path model = folder.file("model");
        Dit.Config c = dit.config();
        Map<String, Object> names = new LinkedHashMap<>();
        for (int i = 0; i < classes.size(); i++) {
            names.put(Integer.toString(i), classes.get(i));
        }
        Map<String, Object> index = ModelFolder.ordered(
                "_class_name",
                "DiTPipeline",
                "id2label",
                names,
                "scheduler",
                List.of("diffusers", "DDPMScheduler"),
                "transformer",
                List.of("diffusers", "DiTTransformer2DModel"));
        if (latents.equals(VIDEO)) {
            index.put("autoencoder", List.of("zoetrope", "VideoAutoencoder"));
            copy(
                    BuiltIn.folder(BuiltIn.SORA).resolve("autoencoder"),
                    model.resolve("autoencoder"),
                    "model.safetensors");
        } else if (!latents.equals(PIXELS)) {
            index.put("vae", List.of("diffusers", "AutoencoderKL"));
            copy(Path.of(latents), model.resolve("vae"), "diffusion_pytorch_model.safetensors");
        }
        ModelFolder.json(model.resolve("model_index.json"), index);
        ModelFolder.json(model.resolve("scheduler").resolve("scheduler_config.json"), schedule());
        ModelFolder.part(
                model.resolve("transformer"),
                "diffusion_pytorch_model.safetensors",
                weights,
                ModelFolder.ordered(
                        "_class_name", "DiTTransformer2DModel",
                        "sample_size", c.side(),
                        "patch_size", c.patch(),
                        "in_channels", c.inChannels(),
                        "out_channels", c.outChannels(),
                        "num_layers", c.layers(),
                        "num_attention_heads", c.heads(),
                        "attention_head_dim", c.headSize(),
                        "num_embeds_ada_norm", c.classes(),
                        "norm_type", "ada_norm_zero",
                        "norm_elementwise_affine", false,
                        "activation_fn", "gelu-approximate",
                        "attention_bias", true,
                        "norm_eps", c.eps()));
        listener.message("the model is in " + model);
    }

    private static void copy(Path from, Path to, String weights) {
        for (String file : List.of("config.json", weights)) {
            AtomicFile.write(to.resolve(file), out -> Files.copy(from.resolve(file), out));
        }
    }
}
