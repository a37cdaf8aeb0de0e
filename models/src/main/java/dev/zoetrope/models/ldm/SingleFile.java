package dev.zoetrope.models.ldm;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.clip.ClipText;
import dev.zoetrope.models.unet.ConditionalUnet;
import dev.zoetrope.models.vae.AutoencoderKl;
import dev.zoetrope.schedulers.Ddim;
import dev.zoetrope.schedulers.Scheduler;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/**
 * Stable Diffusion 1.x as its first release and its many descendants come: all parts in one file. The sizes are those of
 * SD 1.x, unless {@code unet_config.json, vae_config.json, text_encoder_config.json} lie beside the file; likewise
 * {@code scheduler_config.json}. The tokenizer lies in {@code tokenizer} beside it.
 */
final class SingleFile {
    private static final Pattern NOT_PART =
            Pattern.compile("model_ema\\..*|(sqrt_|log_|posterior_|alphas_|betas|lvlb_).*|"
                    + "cond_stage_model\\.(logit_scale|transformer\\..*position_ids)|scale_factor|embedding_manager\\..*|"
                    + "first_stage_model\\.loss\\..*");
    private static final String UNET =
            """
            {"in_channels": %d, "out_channels": 4, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
            """;
    private static final String AUTOENCODER =
            """
            {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 512,
             "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
             "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}
            """;
    private static final String TEXT =
            """
            {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
             "eos_token_id": 49407}
            """;
    private static final String SCHEDULER =
            """
            {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": false,
             "set_alpha_to_one": false, "steps_offset": 1}
            """;

    private SingleFile() {}

    /** The configurations and the places of the other files that belong to a single file. */
    record Sources(Json unet, Json vae, Json text, Json scheduler, Path tokenizer) {
        PipelineOrigin origin() {
            Json sampler = scheduler.has("_class_name") ? scheduler : scheduler.with("_class_name", "DDIMScheduler");
            Map<String, Json> configs = new LinkedHashMap<>();
            configs.put("unet", unet.with("_class_name", "UNet2DConditionModel"));
            configs.put("vae", vae.with("_class_name", "AutoencoderKL"));
            configs.put("text_encoder", text.with("architectures", List.of("CLIPTextModel")));
            configs.put("scheduler", sampler);
            return new PipelineOrigin(
                    Json.empty().with("_class_name", "StableDiffusionPipeline"),
                    configs,
                    Map.of("tokenizer", tokenizer));
        }
    }

    static Sources sources(Path file, Checkpoint checkpoint) {
        String first = OriginalNames.UNET + "input_blocks.0.0.weight";
        if (!checkpoint.has(first)) {
            throw new UserError(file + ": no tensor '" + first + "'; expected Stable Diffusion 1.x in one file"
                    + (checkpoint.has("conv_in.weight") ? ", and this is one part of a pipeline" : ""));
        }
        if (checkpoint.keys().stream()
                .anyMatch(k -> k.startsWith("conditioner.") || k.startsWith("cond_stage_model.model."))) {
            throw new UserError(file + ": is Stable Diffusion 2.x or XL in one file, which is not supported; open the "
                    + "folder of the pipeline, with model_index.json");
        }
        Path tokenizer = file.resolveSibling("tokenizer");
        if (!Files.isDirectory(tokenizer)) {
            throw new UserError(file + ": needs CLIP's tokenizer in a folder 'tokenizer' beside it, such as that of "
                    + "openai/clip-vit-large-patch14 (vocab.json, merges.txt, tokenizer_config.json)");
        }
        long channels = checkpoint.shape(first)[1];
        return new Sources(
                beside(file, "unet_config.json", UNET.formatted(channels)),
                beside(file, "vae_config.json", AUTOENCODER),
                beside(file, "text_encoder_config.json", TEXT),
                beside(file, "scheduler_config.json", SCHEDULER),
                tokenizer);
    }

    private static Json beside(Path file, String name, String otherwise) {
        Path given = file.resolveSibling(name);
        return Files.isRegularFile(given) ? Json.read(given) : Json.parse("Stable Diffusion 1.x " + name, otherwise);
    }

    static StableDiffusion.Parts load(Path file) {
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            Sources s = sources(file, checkpoint);
            checkpoint.ignore(NOT_PART);
            ConditionalUnet.Config unet = ConditionalUnet.Config.of(s.unet);
            AutoencoderKl.Config vae = AutoencoderKl.Config.of(s.vae);
            List<Boolean> attends =
                    unet.up().stream().map(type -> type.contains("CrossAttn")).toList();
            ClipText text = part(
                    checkpoint,
                    OriginalNames.text(checkpoint),
                    s.text,
                    (j, w) -> new ClipText(ClipText.Config.of(j), w));
            Prompts prompts = new Prompts(List.of(new Prompts.Tower(Tokenizer.open(s.tokenizer), text)), false);
            Scheduler scheduler = s.scheduler.has("_class_name") ? Scheduler.of(s.scheduler) : Ddim.of(s.scheduler);
            return new StableDiffusion.Parts(
                    scheduler,
                    s.origin(),
                    prompts,
                    part(
                            checkpoint,
                            OriginalNames.unet(unet.layers(), attends),
                            s.unet,
                            (j, w) -> new ConditionalUnet(unet, w)),
                    part(
                            checkpoint,
                            OriginalNames.autoencoder(vae.levels(), checkpoint),
                            s.vae,
                            (j, w) -> new AutoencoderKl(vae, w)),
                    null,
                    false,
                    false);
        }
    }

    private static <M> M part(
            Checkpoint checkpoint, UnaryOperator<String> names, Json config, BiFunction<Json, Weights, M> model) {
        return model.apply(config, Weights.load(checkpoint).renamed(names));
    }
}
