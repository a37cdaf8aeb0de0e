package dev.zoetrope.training.talking;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import dev.zoetrope.models.llava.Dialogue.Labelled;
import dev.zoetrope.models.llava.Dialogue.Turn;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model that talks about pictures, as its training needs it. It writes conversations and prepares pictures as {@link
 * dev.zoetrope.tasks.Chat} does with the finished model.
 *
 * <p>Axes: B rows, T tokens.
 */
interface Talker extends AutoCloseable {
    /** Rows of one length, padded on the right, {@code [B, T]} INT64. */
    record Batch(Tensor ids, Tensor mask, Tensor labels) {}

    Tokenizer tokenizer();

    /** Ids of a conversation, with marks where its pictures stand. The answer of the last turn may be missing. */
    long[] ids(List<Turn> turns);

    /** How well the answers of these conversations are said, a number. The pictures stand in reading order. */
    Tensor loss(Batch batch, List<Image> images);

    /** Where the tower lies among the weights, null for a model that has none of CLIP's or SigLIP's. */
    @Nullable
    String tower();

    @Override
    void close();

    /** A conversation as a row in which the answers, and what ends them, are to be learned. */
    default Labelled labelled(List<Turn> turns) {
        long[] ids = ids(turns);
        long[] labels = new long[ids.length];
        Arrays.fill(labels, NextToken.IGNORED);
        for (int i = 0; i < turns.size(); i++) {
            List<Turn> asked = new ArrayList<>(turns.subList(0, i));
            asked.add(new Turn(turns.get(i).question(), ""));
            int from = ids(asked).length;
            int to = i == turns.size() - 1 ? ids.length : ids(turns.subList(0, i + 1)).length;
            System.arraycopy(ids, from, labels, from, to - from);
        }
        return new Labelled(ids, labels);
    }

    /** The row of a picture and its caption alone, which is to be learned. */
    default Labelled captioned(String caption) {
        throw new UserError("template plain is for the LLaVA family; leave it out");
    }

    /**
     * @param folder with the tokenizer and preprocessor_config.json
     * @param config the model's own
     * @param weights drawn, or of a file
     */
    static Talker of(Path folder, Json config, Weights weights) {
        if (config.get("architectures", List.of()).contains("CogVLMForCausalLM")) {
            return new CogVlmTalker(folder, config, weights);
        }
        return switch (config.require("model_type")) {
            case "mplug-owl" -> new OwlTalker(folder, config, weights);
            case "deepseek_vl", "deepseek_vl_hybrid" -> new DeepSeekVlTalker(folder, config, weights);
            default -> new LlavaTalker(folder, config, weights);
        };
    }
}
