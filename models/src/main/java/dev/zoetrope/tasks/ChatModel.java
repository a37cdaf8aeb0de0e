package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What {@link Chat} needs of a model that reads words and, it may be, pictures.
 *
 * <p>Axes: N tokens of a picture, T tokens of a conversation, D width of the language model.
 */
public interface ChatModel extends AutoCloseable {
    /**
     * A question with its pictures and its answer.
     *
     * @param answer empty for the question that is open
     */
    record Turn(String question, List<Image> images, String answer) {
        public Turn {
            images = List.copyOf(images);
        }
    }

    /**
     * A conversation as the model reads it.
     *
     * @param keys {@code [T]}, what stands at each place: ids of tokens, and for pictures negative numbers that differ from
     *     picture to picture. Two conversations with equal keys up to a place are equal up to there.
     * @param embedded {@code [1, T, D]}
     */
    @SuppressWarnings("ArrayRecordComponent")
    record Row(long[] keys, Tensor embedded) {}

    /** Name for messages and records. */
    String name();

    Tokenizer tokenizer();

    /** How many pictures a conversation may have; 0 for a model that reads words only. */
    int mostImages();

    /** Longest conversation, answer included, in tokens. */
    int mostTokens();

    /** Tokens that end an answer. */
    Set<Integer> ends();

    /** Texts that end an answer and are no part of it. */
    List<String> stopTexts();

    /** A picture as tokens {@code [N, D]}, owned by the innermost scope. {@link Chat} asks once for each. */
    Tensor look(Image image);

    /**
     * The conversation up to where the last answer begins.
     *
     * @param turns the last one without an answer
     * @param seen what {@link #look} made of the pictures, in the order of the conversation
     */
    Row read(List<Turn> turns, List<Tensor> seen);

    /** Goes on from the cached tokens with these, {@code [1, T', D]}. */
    Steps continueWith(Tensor embedded, KvCache cache);

    /** All weights, for adapters. */
    Weights weights();

    @Override
    void close();

    /**
     * How exact a model is, and how large.
     *
     * @param type of weights and arithmetic
     * @param packing of the language model's matrices; null for none
     */
    record Precision(DType type, PackedWeight.@Nullable Kind packing) {
        /** The reference's answers. */
        public static final Precision EXACT = new Precision(DType.FLOAT32, null);
    }

    /** The chat model in a folder, by its config.json. */
    static ChatModel load(Path folder, Precision precision) {
        return ChatModels.load(folder, precision);
    }
}
