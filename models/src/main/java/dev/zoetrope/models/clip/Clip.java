package dev.zoetrope.models.clip;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * CLIP: pictures and texts as vectors of unit length in one space, arXiv:2103.00020, names as in
 * openai/clip-vit-base-patch32.
 *
 * <p>Axes: B rows, T tokens, E width of the shared space.
 */
public final class Clip implements AutoCloseable {
    static final PreNormEncoder.Names BLOCK = new PreNormEncoder.Names(
            "layer_norm1",
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.out_proj",
            "layer_norm2",
            "mlp.fc1",
            "mlp.fc2");

    /** @param logitScale logarithm of the factor on cosines at the start of training */
    public record Config(ClipVision.Config vision, ClipText.Config text, double logitScale) {
        public static Config of(Json j) {
            j.expect("model_type", "clip");
            int projection = j.get("projection_dim", 512);
            return new Config(
                    ClipVision.Config.of(j.at("vision_config"), projection),
                    ClipText.Config.of(j.at("text_config"), projection),
                    j.get("logit_scale_init_value", 2.6592));
        }
    }

    private final Weights weights;
    private final Config config;
    private final Tensor logitScale;
    private final ClipText text;
    private final ClipVision vision;

    public Clip(Config c, Weights w) {
        weights = w;
        config = c;
        logitScale = w.tensor("logit_scale", Init.constant(c.logitScale));
        text = new ClipText(c.text, w);
        vision = new ClipVision(c.vision, w);
    }

    /**
     * Opens a release: a folder with config.json (transformers) or open_clip_config.json (open_clip), or the weights
     * alone under OpenAI's names, whose sizes tell the configuration.
     */
    public static Clip load(Path folderOrFile) {
        return Files.isRegularFile(folderOrFile.resolve("config.json"))
                ? Pretrained.load(folderOrFile, (json, w) -> new Clip(Config.of(json), w))
                : OpenClip.load(folderOrFile);
    }

    /** The processor that open_clip_config.json describes. */
    public static ImageProcessor processor(Json openClipConfig) {
        return OpenClip.processor(openClipConfig);
    }

    /** What both towers' blocks start from: residual branches shrink with depth. */
    static Init initial(String name, int hidden, int layers, Init absent) {
        if (name.endsWith("bias")) {
            return Init.zeros();
        }
        double width = Math.pow(hidden, -0.5);
        double branch = width * Math.pow(2.0 * layers, -0.5);
        if (name.matches(".*(q_proj|k_proj|v_proj|fc2)\\.weight")) {
            return Init.normal(branch);
        }
        if (name.endsWith("out_proj.weight")) {
            return Init.normal(width);
        }
        return name.endsWith("fc1.weight") ? Init.normal(Math.pow(2.0 * hidden, -0.5)) : absent;
    }

    public Config config() {
        return config;
    }

    public ClipVision vision() {
        return vision;
    }

    public ClipText text() {
        return text;
    }

    /** Logarithm of the factor on cosines, a single number that is trained: {@code []}. */
    public Tensor logitScale() {
        return logitScale;
    }

    /** Pictures, {@code [B, 3, H, W] -> [B, E]}, of unit length. */
    public Tensor images(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(unit(vision.projected(vision.pooled(vision.forward(pixels)))));
        }
    }

    /**
     * Texts, {@code [B, T] -> [B, E]}, of unit length.
     *
     * @param mask {@code [B, T]}, not 0 for real tokens; null where the end token is the last that matters
     */
    public Tensor texts(Tensor ids, @Nullable Tensor mask) {
        try (Scope s = Scope.open()) {
            return s.keep(unit(text.projected(text.pooled(ids, text.forward(ids, mask)))));
        }
    }

    /** How well each picture and each text fit: {@code [images, E]}, {@code [texts, E] -> [images, texts]}. */
    public Tensor logits(Tensor images, Tensor texts) {
        try (Scope s = Scope.open()) {
            return s.keep(images.matmul(texts.transpose(0, 1)).mul(logitScale.exp()));
        }
    }

    private static Tensor unit(Tensor x) {
        return x.div(x.norm(true, -1));
    }

    @Override
    public void close() {
        weights.close();
    }
}
