package dev.zoetrope.models.owl;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * mPLUG-Owl, arXiv:2304.14178 (MAGAer13/mplug-owl-llama-7b): an image tower, an {@link Abstractor} and Llama. A row may
 * have any number of pictures.
 *
 * <p>Axes: B rows, T tokens, I pictures, Q queries, D width of the language model, L vocabulary.
 */
public final class Owl implements AutoCloseable {
    /** Stands in a row of ids for each token of a picture. */
    public static final int IMAGE = -1;

    /**
     * @param queries Q
     * @param text the language model's own configuration
     */
    public record Config(OwlVision.Config vision, Abstractor.Config abstractor, int queries, Json text) {
        public Config {
            Check.positive(queries, "num_query_tokens");
        }

        public static Config of(Json j) {
            j.expect("model_type", "mplug-owl");
            Json text = j.at("text_config");
            text.expect("model_type", "llama");
            Config c = new Config(
                    OwlVision.Config.of(j.at("vision_config")),
                    Abstractor.Config.of(j.at("visual_abstractor_config")),
                    j.get("num_query_tokens", 64),
                    text);
            if (c.vision.hidden() != c.abstractor.hidden()) {
                throw j.at("visual_abstractor_config")
                        .unsupported("hidden_size", "that of vision_config, " + c.vision.hidden());
            }
            return c;
        }
    }

    private final Weights weights;
    private final Config config;
    private final OwlVision vision;
    private final Abstractor abstractor;
    private final LanguageModel language;

    public Owl(Config c, Weights published) {
        Weights w = published.packed(null); // only the language model is large
        weights = published;
        config = c;
        vision = new OwlVision(c.vision, w.at("vision_model"));
        Tensor queries = w.tensor("query_tokens", Init.normal(0.02), 1, c.queries, c.abstractor.hidden());
        language = LanguageModel.of("llama", c.text, published.at("language_model"));
        abstractor = new Abstractor(c.abstractor, w.at("abstractor"), queries, language.width());
    }

    static BiFunction<String, Init, Init> initial(double deviation) {
        return (name, absent) -> {
            boolean norm = name.contains("norm") || name.contains("ffn_ln");
            return norm ? absent : name.endsWith(".bias") ? Init.zeros() : Init.normal(deviation);
        };
    }

    /** Opens a release, in float32. */
    public static Owl load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a release; weights and arithmetic in this type. */
    public static Owl load(Path folder, DType type) {
        return load(folder, type, null);
    }

    /** @param packing of the language model's matrices; null for none */
    public static Owl load(Path folder, DType type, PackedWeight.@Nullable Kind packing) {
        return Pretrained.load(
                folder, (json, w) -> new Owl(Config.of(json), w.as(type).packed(packing)));
    }

    /** Pictures as tokens of the language model, {@code [I, 3, height, width] -> [I, Q + 1, D]}. */
    public Tensor imageTokens(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(abstractor.forward(vision.forward(pixels)));
        }
    }

    /** How many tokens a picture takes. */
    public int tokensPerImage() {
        return config.queries + 1;
    }

    /**
     * Words and pictures as one row of vectors.
     *
     * @param ids {@code [B, T]} INT64, with {@link #IMAGE} for each token of a picture
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @param labels {@code [B, T]} INT64, what is to be said, {@link NextToken#IGNORED} elsewhere; null in use
     * @param images {@code [I, Q + 1, D]} in reading order; null for none
     */
    public Splice join(Tensor ids, @Nullable Tensor mask, @Nullable Tensor labels, @Nullable Tensor images) {
        return Splice.of(language::embed, Splice.Rule.IN_PLACE, IMAGE, Integer.MAX_VALUE, ids, mask, labels, images);
    }

    /**
     * Scores of the next token at each place, {@code [B, T, L]}. Places are counted from the start of a row, padding
     * too, as rows of training are padded on the right.
     */
    public Tensor logits(Splice row) {
        try (Scope s = Scope.open()) {
            Tensor places = Tensor.arange(row.embedded().size(1)).unsqueeze(0); // [1, T]
            Tensor hidden = language.forward(row.embedded(), row.mask(), places, null);
            return s.keep(language.logits(hidden));
        }
    }

    public Config config() {
        return config;
    }

    public OwlVision vision() {
        return vision;
    }

    public Abstractor abstractor() {
        return abstractor;
    }

    public LanguageModel language() {
        return language;
    }

    public Weights weights() {
        return weights;
    }

    @Override
    public void close() {
        weights.close();
    }
}
