package dev.zoetrope.models.clip;

import dev.zoetrope.checkpoint.Checkpoint;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Renames;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Filter;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.nn.Act;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * CLIP under OpenAI's own names, as open_clip releases it: in_proj is query, key and value in one, projections are stored
 * transposed.
 */
final class OpenClip {
    static final Renames NAMES = Renames.of(
            "^vision_model\\.embeddings\\.patch_embedding\\.", "visual.conv1.",
            "^vision_model\\.embeddings\\.class_embedding$", "visual.class_embedding",
            "^vision_model\\.embeddings\\.position_embedding\\.weight$", "visual.positional_embedding",
            "^vision_model\\.pre_layrnorm\\.", "visual.ln_pre.",
            "^vision_model\\.post_layernorm\\.", "visual.ln_post.",
            "^vision_model\\.encoder\\.layers\\.", "visual.transformer.resblocks.",
            "^text_model\\.embeddings\\.token_embedding\\.", "token_embedding.",
            "^text_model\\.embeddings\\.position_embedding\\.weight$", "positional_embedding",
            "^text_model\\.final_layer_norm\\.", "ln_final.",
            "^text_model\\.encoder\\.layers\\.", "transformer.resblocks.",
            "\\.layer_norm1\\.", ".ln_1.",
            "\\.layer_norm2\\.", ".ln_2.",
            "\\.self_attn\\.q_proj\\.(weight|bias)$", ".attn.in_proj_$1#0/3",
            "\\.self_attn\\.k_proj\\.(weight|bias)$", ".attn.in_proj_$1#1/3",
            "\\.self_attn\\.v_proj\\.(weight|bias)$", ".attn.in_proj_$1#2/3",
            "\\.self_attn\\.out_proj\\.", ".attn.out_proj.",
            "\\.mlp\\.fc1\\.", ".mlp.c_fc.",
            "\\.mlp\\.fc2\\.", ".mlp.c_proj.",
            "^visual_projection\\.weight$", "visual.proj#T",
            "^text_projection\\.weight$", "text_projection#T");

    private static final String CONFIG = "open_clip_config.json";
    private static final int HEAD = 64; // of all releases without a configuration
    private static final double EPS = 1e-5;
    private static final double LOGIT_SCALE = Math.log(1 / 0.07);

    private static final double[] MEAN = {0.48145466, 0.4578275, 0.40821073};
    private static final double[] STD = {0.26862954, 0.26130258, 0.27577711};

    private OpenClip() {}

    static Clip load(Path folderOrFile) {
        Path config = folderOrFile.resolve(CONFIG);
        if (Files.isRegularFile(config)) {
            Clip.Config c = config(Json.read(config).requireAt("model_cfg"));
            try (Checkpoint file = Checkpoint.open(weights(folderOrFile))) {
                return Pretrained.load(file, w -> open(c, w));
            }
        }
        try (Checkpoint file = Checkpoint.open(folderOrFile)) {
            return Pretrained.load(file, w -> open(configOfShapes(folderOrFile, w), w));
        }
    }

    private static Path weights(Path folder) {
        return Stream.of("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
                .map(folder::resolve)
                .filter(Files::isRegularFile)
                .findFirst()
                .orElse(folder);
    }

    private static Clip open(Clip.Config c, Weights w) {
        w.ignorable("input_resolution|context_length|vocab_size|(text\\.)?attn_mask");
        // Releases with a text tower of a class of its own have it below "text."; logit_scale stays outside.
        boolean apart = w.has("text.token_embedding.weight");
        return new Clip(c, w.renamed(name -> {
            String theirs = NAMES.apply(name);
            return !apart || theirs.startsWith("visual.") || theirs.equals("logit_scale") ? theirs : "text." + theirs;
        }));
    }

    private static Clip.Config config(Json model) {
        for (String other : List.of("multimodal_cfg", "init_logit_bias")) {
            if (model.has(other)) {
                throw model.unsupported(other, "none: CoCa and SigLIP are other models");
            }
        }
        Json v = model.requireAt("vision_cfg");
        Json t = model.requireAt("text_cfg");
        refuse(v, "timm_model_name", "attentional_pool", "no_ln_pre", "ls_init_value", "final_ln_after_pool");
        refuse(t, "hf_model_name", "no_causal_mask", "embed_cls", "ls_init_value", "proj_bias", "final_ln_after_pool");
        v.expect("pool_type", "tok");
        t.expect("pool_type", "argmax");
        t.expect("proj_type", "linear");
        if (v.isArray("layers")) {
            throw v.unsupported("layers", "one number: the ResNet towers are not");
        }
        Act act = model.get("quick_gelu", false) ? Act.QUICK_GELU : Act.GELU;
        int embed = model.get("embed_dim", 512);
        int width = v.get("width", 768);
        int textWidth = t.get("width", 512);
        int[] image = v.pair("image_size", 224);
        if (image[0] != image[1]) {
            throw v.unsupported("image_size", "a square");
        }
        return new Clip.Config(
                new ClipVision.Config(
                        image[0],
                        v.get("patch_size", 16),
                        3,
                        width,
                        v.get("layers", 12),
                        width / v.get("head_width", HEAD),
                        (int) (width * v.get("mlp_ratio", 4.0)),
                        act,
                        EPS,
                        embed),
                new ClipText.Config(
                        t.get("vocab_size", 49408),
                        textWidth,
                        t.get("layers", 12),
                        t.get("heads", 8),
                        (int) (textWidth * t.get("mlp_ratio", 4.0)),
                        t.get("context_length", 77),
                        act,
                        EPS,
                        ClipText.LARGEST_ID,
                        embed),
                model.get("init_logit_scale", LOGIT_SCALE));
    }

    /** Short side to size, then the middle. */
    static ImageProcessor processor(Json config) {
        Json p = config.at("preprocess_cfg");
        p.expect("resize_mode", "shortest");
        Filter filter =
                switch (p.get("interpolation", "bicubic")) {
                    case "bicubic" -> Filter.BICUBIC;
                    case "bilinear" -> Filter.BILINEAR;
                    default -> throw p.unsupported("interpolation", "bicubic, bilinear");
                };
        int[] size = config.at("model_cfg").at("vision_cfg").pair("image_size", 224);
        return new ImageProcessor(
                List.of(
                        new ImageProcessor.ShortSide(Math.min(size[0], size[1]), filter),
                        new ImageProcessor.CenterCrop(new ImageProcessor.Size(size[0], size[1]))),
                1.0 / 255,
                p.get("mean", MEAN),
                p.get("std", STD),
                null);
    }

    private static void refuse(Json part, String... keys) {
        for (String key : keys) {
            Object value = part.value(key);
            if (value != null && !value.equals(false)) {
                throw part.unsupported(key, "the plain transformer, without this key");
            }
        }
    }

    /** OpenAI's releases have no configuration: widths are the tensors', heads have 64 channels, the GELU is the quick one. */
    private static Clip.Config configOfShapes(Path file, Weights w) {
        if (w.has("visual.layer1.0.conv1.weight")) {
            throw new UserError(file + ": a CLIP with a ResNet tower is not supported; supported: those with a ViT");
        }
        String text = w.has("text.token_embedding.weight") ? "text." : "";
        long[] conv = shape(file, w, "visual.conv1.weight");
        long[] places = shape(file, w, "visual.positional_embedding");
        long[] tokens = shape(file, w, text + "token_embedding.weight");
        int width = (int) conv[0];
        int textWidth = (int) tokens[1];
        int embed = (int) shape(file, w, "visual.proj")[1];
        int patch = (int) conv[2];
        int grid = (int) Math.round(Math.sqrt(places[0] - 1.0));
        return new Clip.Config(
                new ClipVision.Config(
                        grid * patch,
                        patch,
                        (int) conv[1],
                        width,
                        layers(w, "visual."),
                        width / HEAD,
                        (int) shape(file, w, "visual.transformer.resblocks.0.mlp.c_fc.weight")[0],
                        Act.QUICK_GELU,
                        EPS,
                        embed),
                new ClipText.Config(
                        (int) tokens[0],
                        textWidth,
                        layers(w, text),
                        textWidth / HEAD,
                        (int) shape(file, w, text + "transformer.resblocks.0.mlp.c_fc.weight")[0],
                        (int) shape(file, w, text + "positional_embedding")[0],
                        Act.QUICK_GELU,
                        EPS,
                        ClipText.LARGEST_ID,
                        embed),
                LOGIT_SCALE);
    }

    private static long[] shape(Path file, Weights w, String name) {
        long[] shape = w.shapeOf(name);
        if (shape == null) {
            throw new UserError(file + ": neither a config.json nor an " + CONFIG + " beside it, and no tensor '" + name
                    + "': not a CLIP under OpenAI's names");
        }
        return shape;
    }

    private static int layers(Weights w, String tower) {
        int n = 0;
        while (w.has(tower + "transformer.resblocks." + n + ".ln_1.weight")) {
            n++;
        }
        return n;
    }
}
