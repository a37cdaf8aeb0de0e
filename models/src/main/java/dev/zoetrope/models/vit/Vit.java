package dev.zoetrope.models.vit;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.PatchPositions;
import dev.zoetrope.nn.PreNormEncoder;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Vision Transformer, arXiv:2010.11929, names as in google/vit-base-patch16-224: the classifier, and without its head the
 * encoder (google/vit-base-patch16-224-in21k).
 *
 * <p>Axes: B pictures, H x W pixels, P patches, D hidden.
 */
public final class Vit implements AutoCloseable {
    private static final PreNormEncoder.Names NAMES = new PreNormEncoder.Names(
            "layernorm_before",
            "attention.attention.query",
            "attention.attention.key",
            "attention.attention.value",
            "attention.output.dense",
            "layernorm_after",
            "intermediate.dense",
            "output.dense");

    /**
     * @param imageHeight rows of the pictures trained on, to which positions refer
     * @param patch side of a patch
     * @param hidden D
     * @param intermediate width inside the feed-forward layers
     * @param pooled width of the headless model's pooled vector
     * @param labels names of the classes, in the classifier's order; empty for a model without a classifier
     */
    public record Config(
            int imageHeight,
            int imageWidth,
            int patch,
            int channels,
            int hidden,
            int layers,
            int heads,
            int intermediate,
            Act activation,
            double eps,
            boolean qkvBias,
            Act poolerActivation,
            int pooled,
            List<String> labels) {
        public Config {
            labels = List.copyOf(labels);
            Check.positive(patch, "patch_size");
            Check.atMost(Math.min(imageHeight, imageWidth), patch, "image_size", "patch_size");
            Check.positive(channels, "num_channels");
            Check.positive(layers, "num_hidden_layers");
            Check.positive(intermediate, "intermediate_size");
            Check.divides(heads, hidden, "num_attention_heads", "hidden_size");
        }

        public static Config of(Json j) {
            j.expect("model_type", "vit");
            int[] image = j.pair("image_size", 224);
            int[] patch = j.pair("patch_size", 16);
            Check.equal(patch[0], patch[1], "height of patch_size", "width of patch_size");
            int hidden = j.get("hidden_size", 768);
            return new Config(
                    image[0],
                    image[1],
                    patch[0],
                    j.get("num_channels", 3),
                    hidden,
                    j.get("num_hidden_layers", 12),
                    j.get("num_attention_heads", 12),
                    j.get("intermediate_size", 3072),
                    j.get("hidden_act", Act.GELU, Act::of),
                    j.get("layer_norm_eps", 1e-12),
                    j.get("qkv_bias", true),
                    j.get("pooler_act", Act.TANH, Act::of),
                    j.get("pooler_output_size", hidden),
                    classifies(j) ? labels(j) : List.of());
        }

        private static boolean classifies(Json j) {
            return j.get("architectures", List.of("ViTForImageClassification")).contains("ViTForImageClassification");
        }

        private static List<String> labels(Json j) {
            Map<String, String> names = j.texts("id2label");
            int n = names.isEmpty() ? j.get("num_labels", 2) : names.size();
            List<String> r = new ArrayList<>();
            for (int i = 0; i < n; i++) {
                r.add(names.getOrDefault(String.valueOf(i), "LABEL_" + i));
            }
            return r;
        }

        PatchPositions positions() {
            return new PatchPositions(1, imageHeight / patch, imageWidth / patch);
        }
    }

    private final Weights weights;
    private final Config config;
    private final Tensor classToken;
    private final Tensor positions;
    private final Conv2d patches;
    private final PreNormEncoder encoder;
    private final LayerNorm norm;
    private final @Nullable Linear classifier;
    private final @Nullable Linear pooler;

    public Vit(Config c, Weights published) {
        Weights w = published.initialised(Vit::initial);
        weights = published;
        config = c;
        Weights body = w.has("embeddings.cls_token") ? w : w.at("vit"); // headless releases have no "vit."
        Weights e = body.at("embeddings");
        classToken = e.tensor("cls_token", 1, 1, c.hidden);
        positions = e.tensor("position_embeddings", 1, c.positions().size(), c.hidden);
        patches = Conv2d.patches(e.at("patch_embeddings.projection"), c.channels, c.hidden, c.patch);
        encoder = new PreNormEncoder(
                body.at("encoder.layer"),
                NAMES,
                c.layers,
                c.hidden,
                c.heads,
                c.intermediate,
                c.activation,
                c.eps,
                c.qkvBias);
        norm = new LayerNorm(body.at("layernorm"), c.hidden, c.eps);
        classifier = c.labels.isEmpty() ? null : new Linear(w.at("classifier"), c.hidden, c.labels.size());
        pooler = classifier == null && body.has("pooler.dense.weight")
                ? new Linear(body.at("pooler.dense"), c.hidden, c.pooled)
                : null;
        w.ignorable("(vit\\.)?pooler\\..*");
    }

    public static Vit load(Path folder) {
        return Pretrained.load(folder, (json, w) -> new Vit(Config.of(json), w));
    }

    private static Init initial(String name, Init absent) {
        if (name.endsWith("bias")) {
            return Init.zeros();
        }
        return name.contains("norm") ? absent : Init.truncatedNormal(0.02);
    }

    public Config config() {
        return config;
    }

    /**
     * Scores of the classes. Pictures of another size than trained on get positions interpolated between the learned ones.
     *
     * @param pixels {@code [B, 3, H, W]}, normalised as the model's processor does it
     * @return {@code [B, labels]}, before softmax
     */
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(classify(normalised(encoder.forward(embeddings(pixels)))));
        }
    }

    /** Class token and patches with their positions. {@code [B, 3, H, W] -> [B, 1 + P, D]}. */
    public Tensor embeddings(Tensor pixels) {
        Check.shape(pixels.shape(), "pixel_values", -1, config.channels, -1, -1);
        long rows = pixels.size(2) / config.patch;
        long columns = pixels.size(3) / config.patch;
        Check.positive(Math.min(rows, columns), "number of whole patches of " + config.patch + " pixels");
        try (Scope s = Scope.open()) {
            Tensor x = patches.forward(pixels).flatten(2).transpose(1, 2); // [B, P, D]
            Tensor first = classToken.expand(x.size(0), 1, config.hidden);
            return s.keep(
                    Tensor.cat(1, first, x).add(config.positions().resized(positions.select(0, 0), rows, columns)));
        }
    }

    /** What goes into the first block, then what comes out of each, {@code [B, 1 + P, D]}. */
    public List<Tensor> hiddenStates(Tensor pixels) {
        return encoder.hiddenStates(embeddings(pixels), null, false);
    }

    /** The final norm of a hidden state, {@code [B, 1 + P, D]}. */
    public Tensor normalised(Tensor hidden) {
        return norm.forward(hidden);
    }

    /** The features of a picture: the last block's output behind the final norm, {@code [B, 1 + P, D]}. */
    public Tensor features(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(normalised(encoder.forward(embeddings(pixels))));
        }
    }

    /** Scores of the classes from {@link #normalised} features: {@code [B, 1 + P, D] -> [B, labels]}. */
    public Tensor classify(Tensor features) {
        if (classifier == null) {
            throw new UserError("this checkpoint is a ViT without a classifier: it has features, but no classes; "
                    + "use one whose config.json says ViTForImageClassification");
        }
        return classifier.forward(features.select(1, 0));
    }

    /** One vector a picture by the headless model's pooler: {@code [B, 1 + P, D] -> [B, pooled]}. */
    public Tensor pooled(Tensor features) {
        if (pooler == null) {
            throw new UserError("this checkpoint has no pooler.dense: use the features of the class token instead");
        }
        return config.poolerActivation.of(pooler.forward(features.select(1, 0)));
    }

    @Override
    public void close() {
        weights.close();
    }
}
