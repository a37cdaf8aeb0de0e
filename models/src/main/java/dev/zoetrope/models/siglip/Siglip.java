package dev.zoetrope.models.siglip;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;

/**
 * SigLIP: pictures and texts as vectors of unit length in one space, each pair judged on its own, arXiv:2303.15343, names
 * as in google/siglip-so400m-patch14-384.
 *
 * <p>Axes: B rows, T tokens, E width of the shared space.
 */
public final class Siglip implements AutoCloseable {
    static final PreNormEncoder.Names BLOCK = new PreNormEncoder.Names(
            "layer_norm1",
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.out_proj",
            "layer_norm2",
            "mlp.fc1",
            "mlp.fc2");

    /** Both towers. */
    public record Config(SiglipVision.Config vision, SiglipText.Config text) {
        public Config {
            Check.equal(vision.hidden(), text.projection(), "vision_config.hidden_size", "text_config.projection_size");
        }

        public static Config of(Json j) {
            j.expect("model_type", "siglip");
            return new Config(SiglipVision.Config.of(j.at("vision_config")), SiglipText.Config.of(j.at("text_config")));
        }
    }

    private final Weights weights;
    private final Config config;
    private final Tensor logitScale;
    private final Tensor logitBias;
    private final SiglipText text;
    private final SiglipVision vision;

    public Siglip(Config c, Weights w) {
        weights = w;
        config = c;
        logitScale = w.tensor("logit_scale", Init.constant(Math.log(10)), 1);
        logitBias = w.tensor("logit_bias", Init.constant(-10), 1);
        text = new SiglipText(c.text, w);
        vision = new SiglipVision(c.vision, w);
    }

    public static Siglip load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Siglip(Config.of(json), w));
    }

    /** What both towers' blocks start from. */
    static Init initial(String name, Init absent) {
        if (name.endsWith("bias")) {
            return name.matches(".*mlp\\.fc[12]\\.bias") ? Init.normal(1e-6) : Init.zeros();
        }
        return name.contains("norm") ? absent : Init.xavier();
    }

    /** Normal with deviation {@code fan in ^ -0.5}, what lies beyond two deviations drawn again, the deviation then restored. */
    static Init lecunNormal() {
        double cut = 0.87962566103423978; // deviation of a normal distribution that ends at +-2
        return (random, shape) -> {
            long fanIn = 1;
            for (int i = 1; i < shape.length; i++) {
                fanIn *= shape[i];
            }
            double std = Math.pow(fanIn, -0.5) / cut;
            return Init.truncatedNormal(std, -2 * std, 2 * std).draw(random, shape);
        };
    }

    public Config config() {
        return config;
    }

    public SiglipVision vision() {
        return vision;
    }

    public SiglipText text() {
        return text;
    }

    /** Logarithm of the factor on cosines, {@code [1]}. */
    public Tensor logitScale() {
        return logitScale;
    }

    /** What is added to the scaled cosines, {@code [1]}. */
    public Tensor logitBias() {
        return logitBias;
    }

    /** Pictures, {@code [B, 3, H, W] -> [B, E]}, of unit length. */
    public Tensor images(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(unit(vision.pooled(vision.forward(pixels))));
        }
    }

    /** Texts, {@code [B, T] -> [B, E]}, of unit length; T is the length trained with, padding included. */
    public Tensor texts(Tensor ids) {
        try (Scope s = Scope.open()) {
            return s.keep(unit(text.pooled(text.forward(ids))));
        }
    }

    /**
     * How well each picture and each text fit: {@code [images, E]}, {@code [texts, E] -> [images, texts]}. Their sigmoid
     * is the probability of each pair on its own.
     */
    public Tensor logits(Tensor images, Tensor texts) {
        try (Scope s = Scope.open()) {
            return s.keep(
                    images.matmul(texts.transpose(0, 1)).mul(logitScale.exp()).add(logitBias));
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
