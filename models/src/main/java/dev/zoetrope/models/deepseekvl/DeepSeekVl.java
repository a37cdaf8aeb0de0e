package dev.zoetrope.models.deepseekvl;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.Insertion;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.siglip.SiglipVision;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.nn.Mlp;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * DeepSeek-VL, arXiv:2403.05525: SigLIP, in the larger models together with SAM's encoder at 1024 pixels, in front of a
 * DeepSeek language model. Names as in deepseek-community/deepseek-vl-1.3b-chat and -7b-chat.
 *
 * <p>Axes: B rows, T tokens, I pictures, N tokens of a picture, D width of the language model, V vocabulary.
 */
public final class DeepSeekVl implements AutoCloseable {
    /**
     * @param text configuration of the language model
     * @param detail configuration of SAM's encoder; null where there is only SigLIP
     * @param imageToken what stands in a row of ids for each token of a picture
     */
    public record Config(Json text, SiglipVision.Config vision, @Nullable Json detail, int imageToken) {
        public Config {
            Check.divides(vision.patch(), vision.image(), "vision_config.patch_size", "vision_config.image_size");
        }

        public static Config of(Json j) {
            boolean hybrid =
                    switch (j.require("model_type")) {
                        case "deepseek_vl" -> false;
                        case "deepseek_vl_hybrid" -> true;
                        default -> throw j.unsupported("model_type", "deepseek_vl, deepseek_vl_hybrid");
                    };
            Json vision = j.at("vision_config");
            vision.expect("model_type", "siglip_vision_model");
            Json detail = j.at("high_res_vision_config");
            detail.expect("model_type", "sam_vision_model");
            return new Config(
                    j.at("text_config"),
                    SiglipVision.Config.of(vision),
                    hybrid ? detail : null,
                    j.get("image_token_id", 100015));
        }

        /** Patches in a row of SigLIP's picture, and in a column. */
        int grid() {
            return vision.image() / vision.patch();
        }

        /** N. */
        public int tokensPerImage() {
            return grid() * grid();
        }
    }

    /** Two linear layers for SigLIP alone; for both eyes one for each, side by side, and one for all. */
    private interface Aligner {
        Tensor forward(Tensor overview, @Nullable Tensor details);
    }

    private final Weights weights;
    private final Config config;
    private final SiglipVision overview;
    private final @Nullable HybridEye detail;
    private final Aligner aligner;
    private final LanguageModel language;

    public DeepSeekVl(Config c, Weights w) {
        weights = w;
        config = c;
        Weights m = w.packed(null).at("model"); // the eyes are small
        Json detailConfig = c.detail;
        detail = detailConfig == null ? null : new HybridEye(detailConfig, c.grid(), m);
        overview = new SiglipVision(c.vision, m.at("vision_model"));
        language = LanguageModel.of(c.text.get("model_type", "llama"), c.text, languageNames(w));
        int in = c.vision.hidden();
        aligner = detail == null
                ? alone(m.at("aligner"), in, language.width())
                : both(m.at("aligner"), in, detail.width(), language.width());
    }

    /** The language model's own names, of which releases have all but the head below {@code model.language_model}. */
    private static Weights languageNames(Weights w) {
        return w.has("model.language_model.embed_tokens.weight")
                ? w.renamed(n -> n.replaceFirst("^model\\.", "model.language_model."))
                : w;
    }

    private static Aligner alone(Weights w, int in, int out) {
        Mlp both = new Mlp(new Linear(w.at("linear1"), in, out), Act.GELU, new Linear(w.at("linear2"), out, out));
        return (overview, details) -> both.forward(overview);
    }

    private static Aligner both(Weights w, int in, long detailIn, int out) {
        Linear overviewIn = new Linear(w.at("vision_proj"), in, out / 2);
        Linear detailsIn = new Linear(w.at("high_res_vision_proj"), detailIn, out / 2);
        Linear mixed = new Linear(w.at("proj"), out, out);
        return (overview, details) -> {
            try (Scope s = Scope.open()) {
                Tensor x = Tensor.cat(-1, detailsIn.forward(given(details)), overviewIn.forward(overview)); // [I, N, D]
                return s.keep(mixed.forward(x.gelu()));
            }
        };
    }

    private static Tensor given(@Nullable Tensor details) {
        if (details == null) {
            throw new UserError("this model sees a picture at two resolutions, and only the lower one was given");
        }
        return details;
    }

    /** Opens a release, in float32. */
    public static DeepSeekVl load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a release; weights and arithmetic in this type. */
    public static DeepSeekVl load(Path folder, DType type) {
        return load(folder, type, null);
    }

    /** @param packing of the language model's matrices; null for none */
    public static DeepSeekVl load(Path folder, DType type, PackedWeight.@Nullable Kind packing) {
        return Pretrained.load(
                folder, (json, w) -> new DeepSeekVl(Config.of(json), w.as(type).packed(packing)));
    }

    public Config config() {
        return config;
    }

    public Weights weights() {
        return weights;
    }

    public LanguageModel language() {
        return language;
    }

    /** The eye for the whole picture. */
    public SiglipVision overview() {
        return overview;
    }

    /** The eye for details; null in models without. */
    public @Nullable HybridEye detail() {
        return detail;
    }

    /**
     * Pictures as tokens.
     *
     * @param pixels {@code [I, 3, s, s]}
     * @param high {@code [I, 3, S, S]}, the same pictures at the resolution of the eye for details; null for a model without
     * @return {@code [I, N, D]}
     */
    public Tensor imageTokens(Tensor pixels, @Nullable Tensor high) {
        Check.shape(pixels.shape(), "pixel_values", -1, -1, config.vision.image(), config.vision.image());
        try (Scope s = Scope.open()) {
            Tensor details = detail == null ? null : detail.forward(given(high));
            return s.keep(aligner.forward(overview.forward(pixels), details));
        }
    }

    /**
     * Words and pictures as rows of vectors.
     *
     * @param ids {@code [B, T]} INT64, with {@link Config#imageToken} for each token of a picture
     * @param mask {@code [B, T]}, not 0 for real tokens, which stand at the end; null where all are
     * @param images {@code [I, N, D]} in reading order; null for none
     */
    public Prompt join(Tensor ids, @Nullable Tensor mask, @Nullable Tensor images) {
        try (Scope s = Scope.open()) {
            Tensor words = language.embed(ids);
            Tensor places = ids.eq((long) config.imageToken);
            if (images == null && places.any()) {
                throw new UserError("the text has places for pictures, but none was given");
            }
            Tensor all =
                    images == null ? words : Insertion.of(words, places, images.flatten(0, 1), "tokens of pictures");
            return new Prompt(s.keep(all), mask, null);
        }
    }

    /** Scores of the next token at each place, {@code [B, T, V]}. */
    public Tensor logits(Prompt row) {
        try (Scope s = Scope.open()) {
            return s.keep(language.logits(language.forward(row.embedded(), row.mask(), row.positions(), null)));
        }
    }

    @Override
    public void close() {
        weights.close();
    }
}
