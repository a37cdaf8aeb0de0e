package dev.zoetrope.models.llava;

import dev.zoetrope.checkpoint.Hub;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.language.Phi;
import dev.zoetrope.models.language.Splice;
import dev.zoetrope.nn.Act;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * LLaVA, arXiv:2304.08485 and 2310.03744: features of a vision tower go through a connector and stand between the words
 * of a language model. TinyLLaVA (arXiv:2402.14289), MobileVLM (arXiv:2312.16886, 2402.03766) and Bunny (arXiv:2402.11530)
 * are configurations of it, each under its own names.
 *
 * <p>Axes: B rows, T tokens, I pictures, N tokens of a picture, D width of the language model, V vocabulary.
 */
public final class Llava implements AutoCloseable {
    /** What a release calls its parts, and how it puts pictures between words. */
    public enum Layout {
        /** llava-hf, as transformers has it. */
        HF("language_model", "multi_modal_projector", "vision_tower", Splice.Rule.IN_PLACE),
        /** TinyLLaVA Factory. */
        TINYLLAVA("language_model", "connector._connector", "vision_tower._vision_tower", Splice.Rule.WITHOUT_PADDING),
        MOBILEVLM("", "model.mm_projector", "model.vision_tower.vision_tower", Splice.Rule.WITH_PADDING),
        BUNNY("", "model.mm_projector", "model.vision_tower.vision_tower", Splice.Rule.WITHOUT_PADDING),
        /** LLaVA 1.5 as first released, and the first generation of TinyLLaVA. */
        ORIGINAL("", "model.mm_projector", "model.vision_tower.vision_tower", Splice.Rule.WITHOUT_PADDING);

        final String language;
        final String connector;
        final String tower;
        final Splice.Rule rule;

        Layout(String language, String connector, String tower, Splice.Rule rule) {
            this.language = language;
            this.connector = connector;
            this.tower = tower;
            this.rule = rule;
        }

        /** Path of the tower among the weights. */
        public String tower() {
            return tower;
        }
    }

    /**
     * @param language model_type of the language model
     * @param text the language model's own configuration
     * @param vision the tower's own configuration
     * @param connector where the connector is described
     * @param features what is taken of the tower
     * @param imageToken what stands in a row of ids where a picture goes
     * @param maxLength at which rows are cut when pictures stand in them
     * @param padsToSquare whether pictures are filled up to a square first
     */
    public record Config(
            Layout layout,
            String language,
            Json text,
            Json vision,
            Json connector,
            Features features,
            int imageToken,
            int maxLength,
            boolean padsToSquare) {
        private static final String DEFAULT_TOWER = "openai/clip-vit-large-patch14-336";
        private static final int MARK = -200;

        public static Config of(Json j) {
            return of(j, null);
        }

        /** @param tower the configuration of a tower that has a folder of its own; null where config.json tells it */
        public static Config of(Json j, @Nullable Json tower) {
            return switch (j.require("model_type")) {
                case "llava" -> j.has("mm_vision_tower") ? original(j, tower, "llama") : hf(j);
                case "tinyllava" -> tinyllava(j);
                case "mobilevlm" -> mobilevlm(j, tower);
                case "bunny-phi" -> bunny(j, tower, "phi");
                case "bunny-llama" -> bunny(j, tower, "llama");
                case "bunny-qwen", "bunny-qwen2" -> bunny(j, tower, "qwen2");
                case "bunny-stablelm" -> bunny(j, tower, "stablelm");
                case "llava_llama", "tiny_llava_llama" -> original(j, tower, "llama");
                case "tiny_llava_phi" -> original(j, tower, "phi");
                case "tiny_llava_stablelm" -> original(j, tower, "stablelm");
                default ->
                    throw j.unsupported(
                            "model_type",
                            "llava, tinyllava, mobilevlm, bunny-phi, bunny-llama, bunny-qwen2, bunny-stablelm, "
                                    + "llava_llama, tiny_llava_llama, tiny_llava_phi, tiny_llava_stablelm");
            };
        }

        private static Config hf(Json j) {
            Json text = j.at("text_config");
            Json vision = j.at("vision_config");
            if (!vision.has("hidden_size")) {
                vision = known(j, DEFAULT_TOWER);
            }
            List<Integer> layers = j.isArray("vision_feature_layer")
                    ? boxed(j.get("vision_feature_layer", new int[0]))
                    : List.of(j.get("vision_feature_layer", -2));
            boolean drops =
                    switch (j.get("vision_feature_select_strategy", "default")) {
                        case "default" -> true;
                        case "full" -> false;
                        default -> throw j.unsupported("vision_feature_select_strategy", "default, full");
                    };
            int token = j.get("image_token_id", j.get("image_token_index", 32000));
            return new Config(
                    Layout.HF,
                    text.get("model_type", "llama"),
                    text,
                    vision,
                    j,
                    new Features(layers, drops, List.of()),
                    token,
                    Integer.MAX_VALUE,
                    false);
        }

        private static Config tinyllava(Json j) {
            if (!j.get("vision_model_name_or_path2", "").isEmpty()) {
                throw j.unsupported("vision_model_name_or_path2", "\"\", one tower");
            }
            boolean drops =
                    switch (j.get("vision_feature_select_strategy", "patch")) {
                        case "patch" -> true; // from SigLIP too, which has no class token
                        case "cls_patch" -> false;
                        default -> throw j.unsupported("vision_feature_select_strategy", "patch, cls_patch");
                    };
            return new Config(
                    Layout.TINYLLAVA,
                    j.requireAt("text_config").get("model_type", "llama"),
                    j.at("text_config"),
                    j.requireAt("vision_config"),
                    j,
                    new Features(List.of(j.get("vision_feature_layer", -2)), drops, List.of()),
                    j.get("image_token_index", MARK),
                    j.get("tokenizer_model_max_length", 2048),
                    j.get("image_aspect_ratio", "square").equals("pad"));
        }

        private static Config mobilevlm(Json j, @Nullable Json tower) {
            j.expect("mm_use_im_start_end", false);
            return oneFile(Layout.MOBILEVLM, j, tower, "llama", List.of(), Integer.MAX_VALUE);
        }

        private static Config bunny(Json j, @Nullable Json tower, String language) {
            List<Integer> scales =
                    j.get("use_s2", false) ? Features.scales(j.get("s2_scales", "384,768,1152")) : List.of();
            return oneFile(
                    Layout.BUNNY, j, tower, language, scales, j.get("tokenizer_model_max_length", Integer.MAX_VALUE));
        }

        private static Config original(Json j, @Nullable Json tower, String language) {
            return oneFile(
                    Layout.ORIGINAL,
                    j,
                    tower,
                    language,
                    List.of(),
                    j.get("tokenizer_model_max_length", Integer.MAX_VALUE));
        }

        /** Releases whose configuration is the language model's with some keys more. */
        private static Config oneFile(
                Layout layout, Json j, @Nullable Json tower, String language, List<Integer> scales, int maxLength) {
            Json vision = tower != null ? tower : known(j, j.require("mm_vision_tower"));
            boolean classToken = !vision.get("model_type", "").startsWith("siglip");
            boolean drops =
                    switch (j.get("mm_vision_select_feature", "patch")) {
                        case "patch" -> classToken;
                        case "cls_patch" -> false;
                        default -> throw j.unsupported("mm_vision_select_feature", "patch, cls_patch");
                    };
            return new Config(
                    layout,
                    language,
                    j,
                    vision,
                    j,
                    new Features(List.of(j.get("mm_vision_select_layer", -2)), drops, scales),
                    MARK,
                    maxLength,
                    j.get("image_aspect_ratio", "pad").equals("pad"));
        }

        private static Json known(Json j, String tower) {
            Json r = VisionTower.published(tower);
            if (r == null) {
                throw j.unsupported(
                        "mm_vision_tower",
                        "a folder vision_tower beside config.json, clip-vit-large-patch14, clip-vit-large-patch14-336, "
                                + "siglip-so400m-patch14-384");
            }
            return r;
        }

        private static List<Integer> boxed(int... values) {
            return Arrays.stream(values).boxed().toList();
        }
    }

    private final Weights weights;
    private final Config config;
    private final LanguageModel language;
    private final Module connector;
    private final @Nullable VisionTower tower;

    /** A release of which the file holds all parts; one that lacks the tower reads words only. */
    public Llava(Config c, Weights w) {
        this(c, names(c, w), null, w);
    }

    private Llava(Config c, Weights packed, @Nullable VisionTower outside, Weights published) {
        weights = published;
        config = c;
        language = language(c, packed.at(c.layout.language));
        Weights w = packed.packed(null); // the other parts are small
        tower = outside == null && holdsTower(c, packed) ? VisionTower.of(c.vision, w.at(c.layout.tower)) : outside;
        int in = tower == null ? c.connector.get("mm_hidden_size", 1024) : c.features.width(tower);
        Weights at = w.at(c.layout.connector);
        connector = switch (c.layout) {
            case HF ->
                Connector.published(
                        at,
                        in,
                        language.width(),
                        c.connector.get("projector_hidden_act", Act.GELU, Act::of),
                        c.connector.get("multimodal_projector_bias", true));
            case TINYLLAVA -> Connector.of(c.connector, "connector_type", at, in, language.width());
            default -> Connector.of(c.connector, "mm_projector_type", at, in, language.width());
        };
    }

    /** Opens a release, in float32. */
    public static Llava load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /**
     * Opens a release. A tower that is published on its own is looked for in the folder {@code vision_tower} beside
     * config.json, then in the hub's cache.
     */
    public static Llava load(Path folder, DType type) {
        return load(folder, type, null);
    }

    /** @param packing of the language model's matrices; null for none */
    public static Llava load(Path folder, DType type, PackedWeight.@Nullable Kind packing) {
        Path beside = folder.resolve("vision_tower");
        Path description = beside.resolve("config.json");
        Json tower = Files.isRegularFile(description) ? Json.read(description) : null;
        return Pretrained.load(folder, (json, w) -> {
            Config c = Config.of(json, tower);
            Weights named = names(c, w.as(type).packed(packing));
            VisionTower outside = holdsTower(c, named)
                    ? null
                    : VisionTower.load(
                            tower != null ? beside : Hub.ofEnvironment().resolve(json.require("mm_vision_tower")));
            return new Llava(c, named, outside, w);
        });
    }

    /** Newer releases of llava-hf have all parts but the head below {@code model}. */
    private static Weights names(Config c, Weights w) {
        return c.layout == Layout.HF && w.has("model.multi_modal_projector.linear_1.weight")
                ? w.renamed(n -> n.startsWith("language_model.lm_head")
                        ? n.substring("language_model.".length())
                        : n.startsWith("language_model.model.")
                                ? "model.language_model." + n.substring("language_model.model.".length())
                                : "model." + n)
                : w;
    }

    /** Whether the tower is part of the file, or of a model that is drawn. */
    private static boolean holdsTower(Config c, Weights w) {
        Weights at = w.at(c.layout.tower);
        String patches = "embeddings.patch_embedding.weight";
        boolean drawn = !w.at(c.layout.language).has("model.embed_tokens.weight");
        return drawn || at.has(patches) || at.has("vision_model." + patches);
    }

    private static LanguageModel language(Config c, Weights w) {
        // transformers' class and Bunny's have a head without a bias around every language model.
        boolean plainHead = c.layout == Layout.HF || c.layout == Layout.BUNNY;
        return c.language.equals("phi") && plainHead
                ? new Phi(Phi.Config.of(c.text).withoutHeadBias(), w)
                : LanguageModel.of(c.language, c.text, w);
    }

    /** Pictures as tokens, {@code [I, 3, H, W] -> [I, N, D]}. */
    public Tensor imageTokens(Tensor pixels) {
        try (Scope s = Scope.open()) {
            return s.keep(connector.forward(features(pixels)));
        }
    }

    /** What the connector is given of pictures, {@code [I, 3, H, W] -> [I, F, W']}. */
    public Tensor features(Tensor pixels) {
        return config.features.of(tower(), pixels);
    }

    /**
     * Words and pictures as one row of vectors.
     *
     * @param ids {@code [B, T]} INT64, with {@link Config#imageToken} for pictures: once a picture, or for llava-hf once
     *     for each of its tokens
     * @param mask {@code [B, T]}, not 0 for real tokens; null where all are
     * @param labels {@code [B, T]} INT64, what is to be said, {@link NextToken#IGNORED} elsewhere; null in use
     * @param images {@code [I, N, D]} in reading order; null for none
     */
    public Splice join(Tensor ids, @Nullable Tensor mask, @Nullable Tensor labels, @Nullable Tensor images) {
        return Splice.of(
                language::embed, config.layout.rule, config.imageToken, config.maxLength, ids, mask, labels, images);
    }

    /** Scores of the next token at each place, {@code [B, T', V]}. */
    public Tensor logits(Splice row) {
        try (Scope s = Scope.open()) {
            Tensor hidden = language.forward(row.embedded(), row.mask(), row.positions(), null);
            return s.keep(language.logits(hidden));
        }
    }

    public Config config() {
        return config;
    }

    public LanguageModel language() {
        return language;
    }

    public VisionTower tower() {
        if (tower == null) {
            throw new UserError("this checkpoint has no vision tower; put the one that mm_vision_tower names into the "
                    + "folder vision_tower beside config.json");
        }
        return tower;
    }

    /** How many tokens a picture takes. */
    public int tokensPerImage() {
        try (Scope s = Scope.open()) {
            int count = config.features.count(tower());
            return (int) connector
                    .forward(Tensor.zeros(1, count, config.features.width(tower())))
                    .size(1);
        }
    }

    public Weights weights() {
        return weights;
    }

    @Override
    public void close() {
        if (tower != null) {
            tower.close();
        }
        weights.close();
    }
}
