package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.clip.ClipVision;
import dev.zoetrope.models.siglip.SiglipVision;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The eye of a vision-language model, CLIP or SigLIP.
 *
 * <p>Axes: B pictures, N tokens (a class token first where there is one, then patches row by row), D width.
 */
public interface VisionTower extends AutoCloseable {
    /** The tower that {@code model_type} names, {@code clip_vision_model} or {@code siglip_vision_model}. */
    static VisionTower of(Json config, Weights w) {
        return switch (config.get("model_type", "clip_vision_model")) {
            case "clip", "clip_vision_model" -> clip(ClipVision.Config.of(config), w);
            case "siglip", "siglip_vision_model" -> siglip(SiglipVision.Config.of(config), w);
            default -> throw config.unsupported("model_type", "clip_vision_model, siglip_vision_model");
        };
    }

    /** Opens the folder of a tower, or of a whole CLIP or SigLIP. */
    static VisionTower load(Path folder) {
        return Pretrained.load(folder, (json, w) -> {
            w.ignorable("text_model\\..*|text_projection\\.weight|visual_projection\\.weight|logit_scale|logit_bias");
            return of(json, w);
        });
    }

    /**
     * The configuration of towers that releases name without repeating what it says.
     *
     * @return null for a tower that is not among them
     */
    static @Nullable Json published(String name) {
        String config =
                switch (name.substring(name.lastIndexOf('/') + 1)) {
                    case "clip-vit-large-patch14-336" ->
                        """
                        {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
                         "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14}""";
                    case "clip-vit-large-patch14" ->
                        """
                        {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
                         "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 224, "patch_size": 14}""";
                    case "siglip-so400m-patch14-384", "TinyLLaVA-3.1B-SigLIP" ->
                        """
                        {"model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
                         "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 384, "patch_size": 14}""";
                    default -> "";
                };
        return config.isEmpty() ? null : Json.parse("the published configuration of " + name, config);
    }

    private static VisionTower clip(ClipVision.Config c, Weights w) {
        ClipVision tower = new ClipVision(c, w);
        return new VisionTower() {
            @Override
            public List<Tensor> hiddenStates(Tensor pixels) {
                return tower.hiddenStates(pixels);
            }

            @Override
            public Tensor hiddenState(Tensor pixels, int layer) {
                return tower.hiddenState(pixels, layer);
            }

            @Override
            public int width() {
                return c.hidden();
            }

            @Override
            public int imageSize() {
                return c.image();
            }

            @Override
            public int patchSize() {
                return c.patch();
            }

            @Override
            public boolean hasClassToken() {
                return true;
            }

            @Override
            public void close() {
                tower.close();
            }
        };
    }

    /** Some releases leave out what no feature comes from: the last blocks and the pooling head. */
    private static SiglipVision.Config asStored(SiglipVision.Config c, Weights w) {
        Weights tower = w.at("vision_model");
        if (!tower.has("embeddings.patch_embedding.weight")) { // drawn, or without this prefix
            return c;
        }
        int layers = c.layers();
        while (layers > 1 && !tower.has("encoder.layers." + (layers - 1) + ".layer_norm1.weight")) {
            layers--;
        }
        return new SiglipVision.Config(
                c.image(),
                c.patch(),
                c.channels(),
                c.hidden(),
                layers,
                c.heads(),
                c.intermediate(),
                c.activation(),
                c.eps(),
                c.head() && tower.has("head.probe"));
    }

    private static VisionTower siglip(SiglipVision.Config c, Weights w) {
        SiglipVision tower = new SiglipVision(asStored(c, w), w);
        return new VisionTower() {
            @Override
            public List<Tensor> hiddenStates(Tensor pixels) {
                return tower.hiddenStates(pixels);
            }

            @Override
            public Tensor hiddenState(Tensor pixels, int layer) {
                return tower.hiddenState(pixels, layer < 0 ? c.layers() + 1 + layer : layer);
            }

            @Override
            public int width() {
                return c.hidden();
            }

            @Override
            public int imageSize() {
                return c.image();
            }

            @Override
            public int patchSize() {
                return c.patch();
            }

            @Override
            public boolean hasClassToken() {
                return false;
            }

            @Override
            public void close() {
                tower.close();
            }
        };
    }

    /** What goes into the first block, then what comes out of each, {@code [B, 3, H, W] -> [B, N, D]}. */
    List<Tensor> hiddenStates(Tensor pixels);

    /**
     * One of {@link #hiddenStates}; blocks behind it are not run.
     *
     * @param layer how many blocks it went through; negative ones count from the end, -1 for what comes out of the last
     */
    Tensor hiddenState(Tensor pixels, int layer);

    /** D. */
    int width();

    /** Side of the pictures that it was made for, in pixels. */
    int imageSize();

    /** Side of a patch, in pixels. */
    int patchSize();

    /** Number of patches of a picture of that size. */
    default int patches() {
        int side = imageSize() / patchSize();
        return side * side;
    }

    boolean hasClassToken();

    @Override
    void close();
}
