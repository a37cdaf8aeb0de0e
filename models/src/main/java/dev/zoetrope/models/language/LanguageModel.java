package dev.zoetrope.models.language;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A language model that reads vectors, so that pictures can stand between words, and says what comes next.
 *
 * <p>Axes: B rows, T tokens, K all tokens so far (those in the cache and T), D width, V vocabulary.
 */
public interface LanguageModel extends AutoCloseable {

    /** Opens a folder with config.json, in float32. */
    static LanguageModel load(Path folder) {
        return load(folder, DType.FLOAT32);
    }

    /** Opens a folder with config.json; weights and arithmetic in this type. */
    static LanguageModel load(Path folder, DType type) {
        return Pretrained.load(folder, (json, w) -> of(json, w.as(type)));
    }

    /**
     * Opens a folder with config.json in bfloat16, with the matrices of linear layers packed into fewer bits: smaller and
     * faster, and a little less exact.
     */
    static LanguageModel load(Path folder, PackedWeight.Kind packing) {
        return Pretrained.load(
                folder, (json, w) -> of(json, w.as(DType.BFLOAT16).packed(packing)));
    }

    /** The model that {@code model_type} names. */
    static LanguageModel of(Json config, Weights w) {
        return of(config.require("model_type"), config, w);
    }

    /** The model of this kind, for configurations that call it otherwise. */
    static LanguageModel of(String type, Json config, Weights w) {
        return switch (type) {
            case "llama", "mistral" -> new Llama(Llama.Config.of(config), w);
            case "qwen2" -> new Llama(Llama.Config.qwen2(config), w);
            case "phi" -> new Phi(Phi.Config.of(config), w);
            case "stablelm", "stablelm_epoch" -> new StableLm(StableLm.Config.of(config), w);
            case "gpt2" -> new Gpt2(Gpt2.Config.of(config), w);
            case "opt" -> new Opt(Opt.Config.of(config), w);
            default -> throw config.unsupported("model_type", "llama, mistral, qwen2, phi, stablelm, gpt2, opt");
        };
    }

    /** The vectors of tokens. {@code [B, T]} INT64 -> {@code [B, T, D]}. */
    Tensor embed(Tensor ids);

    /**
     * What goes into the first block, then what comes out of each, and last of all the output after the final norm.
     *
     * @param embedded {@code [B, T, D]}
     * @param mask {@code [B, K]}, not 0 for real tokens; or {@code [B, T, K]}, not 0 for what each token sees; null where
     *     each sees all up to itself
     * @param positions {@code [B, T]} INT64; null to count the real tokens of each row from 0
     * @param cache of the tokens before, to which these are added; null for none
     */
    List<Tensor> hiddenStates(
            Tensor embedded, @Nullable Tensor mask, @Nullable Tensor positions, @Nullable KvCache cache);

    /** The last of {@link #hiddenStates} alone, {@code [B, T, D]}: what {@link #logits} takes. */
    default Tensor forward(
            Tensor embedded, @Nullable Tensor mask, @Nullable Tensor positions, @Nullable KvCache cache) {
        try (Scope s = Scope.open()) {
            List<Tensor> all = hiddenStates(embedded, mask, positions, cache);
            return s.keep(all.get(all.size() - 1));
        }
    }

    /** Scores of the next token, {@code [B, T, D] -> [B, T, V]}. */
    Tensor logits(Tensor hidden);

    /** D of {@link #embed}. */
    int width();

    /** V. */
    int vocabularySize();

    /** Longest row that the model was made for. */
    int maxPositions();

    /** Frees the weights. */
    @Override
    void close();
}
