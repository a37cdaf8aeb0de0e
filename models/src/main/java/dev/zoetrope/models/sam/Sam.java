package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Renames;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Segment Anything, arXiv:2304.02643, names as in facebook/sam-vit-base. The original releases (sam_vit_b_01ec64.pth and
 * the like) load too. A picture is encoded once; each prompt then costs only the small decoder.
 *
 * <p>Axes: B pictures, P prompts, M masks, C channels, H x W cells of the embedding.
 */
public final class Sam implements AutoCloseable {
    private static final String ORIGINAL_PATCHES = "image_encoder.patch_embed.proj.weight";

    private final Weights weights;
    private final SamConfig config;
    private final SamImageEncoder imageEncoder;
    private final SamPromptEncoder promptEncoder;
    private final SamMaskDecoder maskDecoder;

    public Sam(SamConfig c, Weights published) {
        Weights w = published.initialised(Sam::initial);
        weights = published;
        config = c;
        imageEncoder = new SamImageEncoder(c.vision(), w.at("vision_encoder"));
        promptEncoder = new SamPromptEncoder(c, w);
        maskDecoder = new SamMaskDecoder(c.decoder(), w.at("mask_decoder"));
    }

    /**
     * From a folder with a config.json, or from an original release: the .pth file, or a folder with it. The sizes of the
     * latter come from an architecture.json beside it, or from the width of its image encoder.
     */
    public static Sam load(Path folderOrFile) {
        if (Files.isRegularFile(folderOrFile.resolve("config.json"))) {
            return Pretrained.load(folderOrFile, (json, w) -> new Sam(SamConfig.of(json), w));
        }
        if (!Files.exists(folderOrFile)) {
            throw new UserError(folderOrFile + ": there is no such folder or file");
        }
        try (Checkpoint file = Checkpoint.open(folderOrFile)) {
            SamConfig c = original(folderOrFile, file);
            return Pretrained.load(file, w -> new Sam(c, w.renamed(originalNames(c))));
        }
    }

    private static SamConfig original(Path folderOrFile, Checkpoint file) {
        if (!file.has(ORIGINAL_PATCHES)) {
            throw new UserError(
                    folderOrFile + ": neither a config.json nor an original SAM file, which would have a tensor "
                            + ORIGINAL_PATCHES);
        }
        Path sizes = Files.isDirectory(folderOrFile)
                ? folderOrFile.resolve("architecture.json")
                : folderOrFile.resolveSibling("architecture.json");
        return Files.isRegularFile(sizes)
                ? SamConfig.original(Json.read(sizes))
                : SamConfig.published(file.shape(ORIGINAL_PATCHES)[0], file.name());
    }

    private static final Renames ORIGINAL = Renames.of(
            "^vision_encoder\\.", "image_encoder.",
            "^image_encoder\\.patch_embed\\.projection\\.", "image_encoder.patch_embed.proj.",
            "^image_encoder\\.layers\\.", "image_encoder.blocks.",
            "^image_encoder\\.neck\\.conv1\\.", "image_encoder.neck.0.",
            "^image_encoder\\.neck\\.layer_norm1\\.", "image_encoder.neck.1.",
            "^image_encoder\\.neck\\.conv2\\.", "image_encoder.neck.2.",
            "^image_encoder\\.neck\\.layer_norm2\\.", "image_encoder.neck.3.",
            "^shared_image_embedding\\.positional_embedding$",
                    "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            "^prompt_encoder\\.point_embed\\.", "prompt_encoder.point_embeddings.",
            "^prompt_encoder\\.mask_embed\\.conv1\\.", "prompt_encoder.mask_downscaling.0.",
            "^prompt_encoder\\.mask_embed\\.layer_norm1\\.", "prompt_encoder.mask_downscaling.1.",
            "^prompt_encoder\\.mask_embed\\.conv2\\.", "prompt_encoder.mask_downscaling.3.",
            "^prompt_encoder\\.mask_embed\\.layer_norm2\\.", "prompt_encoder.mask_downscaling.4.",
            "^prompt_encoder\\.mask_embed\\.conv3\\.", "prompt_encoder.mask_downscaling.6.",
            "^mask_decoder\\.upscale_conv1\\.", "mask_decoder.output_upscaling.0.",
            "^mask_decoder\\.upscale_layer_norm\\.", "mask_decoder.output_upscaling.1.",
            "^mask_decoder\\.upscale_conv2\\.", "mask_decoder.output_upscaling.3.",
            "\\.layer_norm_final_attn\\.", ".norm_final_attn.",
            "(blocks|transformer\\.layers)\\.(\\d+)\\.layer_norm(\\d)\\.", "$1.$2.norm$3.");

    private static final Pattern HEAD_LAYER = Pattern.compile(
            "(output_hypernetworks_mlps\\.\\d+|iou_prediction_head)\\.(proj_in|layers\\.(\\d+)|proj_out)\\.");

    /** From this model's names to those of the original releases. */
    public static UnaryOperator<String> originalNames(SamConfig c) {
        return name -> {
            Matcher m = HEAD_LAYER.matcher(name);
            if (!m.find()) {
                return ORIGINAL.apply(name);
            }
            int last = (m.group(1).startsWith("iou") ? c.decoder().iouLayers() : SamMaskDecoder.HYPER_LAYERS) - 1;
            int layer =
                    switch (m.group(2)) {
                        case "proj_in" -> 0;
                        case "proj_out" -> last;
                        default -> Integer.parseInt(m.group(3)) + 1;
                    };
            return name.substring(0, m.start()) + m.group(1) + ".layers." + layer + "." + name.substring(m.end());
        };
    }

    /** What training from nothing starts with; the publication starts its image encoder from another training. */
    private static Init initial(String name, Init otherwise) {
        if (name.matches("prompt_encoder\\.(point_embed\\.\\d|not_a_point_embed|no_mask_embed)\\.weight")) {
            return Init.normal(0.3); // less than the places that these are added to
        }
        boolean attention =
                name.endsWith("_proj.weight") || name.endsWith("qkv.weight") || name.endsWith("attn.proj.weight");
        return attention ? Init.xavier() : otherwise;
    }

    public SamConfig config() {
        return config;
    }

    /** All parameters by name, for training and saving. */
    public Weights weights() {
        return weights;
    }

    public SamImageEncoder imageEncoder() {
        return imageEncoder;
    }

    public SamPromptEncoder promptEncoder() {
        return promptEncoder;
    }

    /** Normalised pixels {@code [B, 3, imageSize, imageSize]} to embeddings {@code [B, C, H, W]}. */
    public Tensor encode(Tensor pixels) {
        return imageEncoder.forward(pixels);
    }

    /**
     * @param embeddings of {@link #encode}, {@code [B, C, H, W]}
     * @param ambiguous whether to answer with three masks (sub-part, part, whole) instead of one
     */
    public SamMaskDecoder.Output decode(Tensor embeddings, SamPrompts prompts, boolean ambiguous) {
        try (Scope s = Scope.open()) {
            SamMaskDecoder.Output o = maskDecoder.forward(
                    embeddings,
                    promptEncoder.imagePositions(),
                    promptEncoder.sparse(prompts),
                    promptEncoder.dense(prompts, embeddings.size(0)),
                    ambiguous);
            return new SamMaskDecoder.Output(s.keep(o.masks()), s.keep(o.iou()));
        }
    }

    /**
     * Random weights, for training from nothing. Where tokens and picture attend to each other, queries and keys start
     * alike, so that a point looks at its own place before anything is learned.
     */
    public static Sam draw(SamConfig c, RandomSource random) {
        Sam sam = new Sam(c, Weights.draw(random));
        Map<String, Tensor> all = sam.weights.named();
        try (Autograd.Mode off = Autograd.off()) {
            all.forEach((name, query) -> {
                Tensor key = all.get(name.replace(".q_proj.", ".k_proj."));
                if (name.matches(".*\\.(cross_attn|final_attn)_\\w+\\.q_proj\\.weight") && key != null) {
                    query.copyInPlace(key);
                }
            });
        }
        return sam;
    }

    @Override
    public void close() {
        weights.close();
    }
}
