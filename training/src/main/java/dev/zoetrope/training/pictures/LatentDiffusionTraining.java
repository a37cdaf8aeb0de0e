package dev.zoetrope.training.pictures;

import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.ldm.PipelineOrigin;
import dev.zoetrope.models.ldm.Prompts;
import dev.zoetrope.models.ldm.Settings;
import dev.zoetrope.models.ldm.StableDiffusion;
import dev.zoetrope.models.unet.Condition;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Denoising;
import dev.zoetrope.schedulers.Draws;
import dev.zoetrope.schedulers.Samplers;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.training.Metrics;
import dev.zoetrope.training.Recipe;
import dev.zoetrope.training.RunFolder;
import dev.zoetrope.training.TensorBoard;
import dev.zoetrope.training.Trainer;
import dev.zoetrope.training.TrainingListener;
import dev.zoetrope.training.diffusion.NoiseLoss;
import dev.zoetrope.training.sora.Vocabulary;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Trains latent diffusion with text on captioned pictures: U-Net and text encoder together, over the latents
 * of an autoencoder that was trained before and stays as it is. Some captions are left out, for guidance. The finished
 * pipeline is written to {@code model/} in the run folder in the form of Stable Diffusion.
 */
public final class LatentDiffusionTraining implements Trainer.Objective {
    private static final String STAGE = "ldm";
    private static final int SHEET = 4;
    private static final int SHEET_STEPS = 20;
    private static final double GUIDANCE = 3;

    private final PictureData data;
    private final AutoencoderKl vae;
    private final Path tokenizer;
    private final Prompts.Tower tower;
    private final ConditionalUnet unet;
    private final NoiseLoss loss;
    private final PictureData.Latents encoded;
    private final int length;
    private final double dropped;
    private final double offset;
    private final Map<String, Json> configs = new LinkedHashMap<>();

    private LatentDiffusionTraining(
            Json recipe, PictureData data, RunFolder folder, Weights unetWeights, Weights textWeights) {
        this.data = data;
        Json train = recipe.at("train");
        Path autoencoder = Path.of(recipe.require("autoencoder"));
        vae = AutoencoderKl.load(autoencoder);
        vae.weights().requireGrad(false);
        Json text = recipe.at("text_encoder");
        length = text.get("max_position_embeddings", 32);
        tokenizer = folder.file("tokenizer");
        writeTokenizer();
        Tokenizer words = Tokenizer.open(tokenizer);
        configs.put("vae", Json.read(autoencoder.resolve("config.json")));
        configs.put(
                "text_encoder",
                text.with("architectures", List.of("CLIPTextModel"))
                        .with("model_type", "clip_text_model")
                        .with("max_position_embeddings", length)
                        .with("vocab_size", words.size()));
        configs.put(
                "unet",
                recipe.at("model")
                        .with("_class_name", "UNet2DConditionModel")
                        .with("in_channels", vae.config().latentChannels())
                        .with("out_channels", vae.config().latentChannels())
                        .with("cross_attention_dim", text.requireInt("hidden_size"))
                        .with(
                                "sample_size",
                                List.of(
                                        data.shape().height() / vae.config().factor(),
                                        data.shape().width() / vae.config().factor())));
        configs.put("scheduler", recipe.at("scheduler").with("_class_name", "DDIMScheduler"));
        unet = new ConditionalUnet(ConditionalUnet.Config.of(config("unet")), unetWeights);
        tower = new Prompts.Tower(words, new ClipText(ClipText.Config.of(config("text_encoder")), textWeights));
        loss = DdpmTraining.noiseLoss(train, config("scheduler"));
        encoded = data.latents(this::encode);
        dropped = train.get("caption_dropout", .1);
        offset = train.get("noise_offset", 0.);
    }

    /** {@code [B, 3, H, W]} in -1..1 to {@code [B, C, h, w]}: of the posterior, which is narrow, its mean. */
    private Tensor encode(Tensor pictures) {
        try (Scope s = Scope.open()) {
            return s.keep(vae.scaled(vae.encode(pictures).mean()));
        }
    }

    private Json config(String part) {
        return java.util.Objects.requireNonNull(configs.get(part));
    }

    private void writeTokenizer() {
        Vocabulary.write(tokenizer, data.words());
        String config = "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"pad_token\": \"" + Vocabulary.PAD
                + "\", \"model_max_length\": " + length + "}\n";
        AtomicFile.write(
                tokenizer.resolve("tokenizer_config.json"), out -> out.write(config.getBytes(StandardCharsets.UTF_8)));
    }

    /** Runs what is left of the training. @return whether it is done */
    public static boolean run(Recipe recipe, RunFolder folder, TrainingListener listener) {
        Json j = recipe.settings();
        try (RandomSource random = RandomSource.of(j.get("seed", 0L));
                Weights unet = Weights.draw(random);
                Weights text = Weights.draw(random);
                PictureData data = PictureData.of(j.at("data"), j.at("train"), j.get("seed", 0L), listener)) {
            LatentDiffusionTraining t = new LatentDiffusionTraining(j, data, folder, unet, text);
            try (AutoencoderKl vae = t.vae;
                    PictureData.Latents encoded = t.encoded;
                    Tokenizer words = t.tower.tokenizer()) {
                Map<String, Tensor> parameters = new LinkedHashMap<>();
                unet.named().forEach((name, w) -> parameters.put("unet." + name, w));
                text.named().forEach((name, w) -> parameters.put("text_encoder." + name, w));
                boolean done = new Trainer(
                                STAGE, Trainer.Settings.of(j.at("train")), parameters, List.of(), t, folder, listener)
                        .run((step, board) -> t.samples(folder, board, step));
                if (done) {
                    Path model = Exports.freshModel(folder);
                    t.origin()
                            .write(
                                    model,
                                    Map.of("unet", unet, "text_encoder", text, "vae", vae.weights()),
                                    DType.FLOAT16);
                    listener.message("the model is in " + model + "; its words are in " + words.size() + " tokens"
                            + Exports.remarks(data));
                }
                return done;
            }
        }
    }

    private PipelineOrigin origin() {
        Json index = Json.empty()
                .with("_class_name", "StableDiffusionPipeline")
                .with("requires_safety_checker", false)
                .with("default_guidance", GUIDANCE);
        return new PipelineOrigin(index, configs, Map.of("tokenizer", tokenizer));
    }

    @Override
    public Tensor loss(Trainer.Share share, RandomSource random, Metrics metrics) {
        PictureData.Batch batch = encoded.batch(share);
        Tensor latents = batch.values();
        List<String> captions = batch.captions().stream()
                .map(caption -> random.chance(dropped) ? "" : caption)
                .toList();
        Tensor noise = random.normal(latents.shape());
        if (offset > 0) {
            noise = noise.add(
                    random.normal(latents.size(0), latents.size(1), 1, 1).mul(offset));
        }
        Tensor timesteps = random.integers(0, loss.table().size(), captions.size());
        Condition condition = Condition.ofText(tower.encoder().forward(tower.ids(captions, length), null));
        return loss.of((noisy, t) -> unet.forward(noisy, t, condition), latents, noise, timesteps);
    }

    private void samples(RunFolder folder, TensorBoard board, long step) {
        StableDiffusion pipeline = new StableDiffusion(new StableDiffusion.Parts(
                Samplers.of("ddim", config("scheduler")),
                origin(),
                new Prompts(List.of(tower), false),
                unet,
                vae,
                null,
                false,
                false));
        try (Scope s = Scope.open()) {
            List<Tensor> all = new ArrayList<>();
            List<String> captions = data.shown(SHEET).captions();
            for (int i = 0; i < captions.size(); i++) {
                Settings settings = Settings.of(captions.get(i))
                        .withSteps(SHEET_STEPS)
                        .withGuidance(GUIDANCE, 0)
                        .withCount(SHEET);
                try (Draws draws = Draws.ofSeed(i)) {
                    all.add(pipeline.generate(settings, draws, Denoising.Observer.NONE));
                }
            }
            Exports.sheet(folder, board, STAGE, "samples", Tensor.cat(0, all), step);
        }
    }
}
