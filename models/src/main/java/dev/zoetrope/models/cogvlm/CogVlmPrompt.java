package dev.zoetrope.models.cogvlm;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/** From a conversation about one picture to what {@link CogVlm} reads. */
public final class CogVlmPrompt {
    /** How questions and answers are written. */
    public enum Template {
        /** The question alone, as the base models take it; what was said before is left out. */
        BASE(""),
        CHAT("Answer:"),
        VQA("Short answer:");

        private final String answer;

        Template(String answer) {
            this.answer = answer;
        }

        /** A conversation as text, up to where the next answer begins. */
        public String text(List<Exchange> history, String question) {
            if (this == BASE) {
                return question;
            }
            StringBuilder s = new StringBuilder();
            for (Exchange e : history) {
                s.append("Question: ").append(e.question).append(' ').append(answer);
                s.append(' ').append(e.answer).append('\n');
            }
            return s.append("Question: ")
                    .append(question)
                    .append(' ')
                    .append(answer)
                    .toString();
        }
    }

    /** A question with its answer. */
    public record Exchange(String question, String answer) {}

    /**
     * A row: the start token, places for the picture where there is one, the text.
     *
     * @param ids {@code [T]}
     * @param types {@code [T]}, 1 for the picture's places
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Tokens(long[] ids, long[] types) {
        /** {@code [1, T]}. */
        public Tensor idTensor() {
            return Tensor.of(ids, 1, ids.length);
        }

        /** {@code [1, T]}. */
        public Tensor typeTensor() {
            return Tensor.of(types, 1, types.length);
        }
    }

    private CogVlmPrompt() {}

    public static Tokens tokens(CogVlm.Config c, Tokenizer tokenizer, String text, boolean withImage) {
        long[] words = tokenizer.encodePlain(text);
        int image = withImage ? c.tokensPerImage() : 0;
        long[] ids = new long[1 + image + words.length];
        long[] types = new long[ids.length];
        ids[0] = c.start();
        Arrays.fill(ids, 1, 1 + image, c.place());
        Arrays.fill(types, 1, 1 + image, 1);
        System.arraycopy(words, 0, ids, 1 + image, words.length);
        return new Tokens(ids, types);
    }

    /** Pictures as the vision tower reads them, {@code [picture, 3, S, S]}: squeezed to a square. */
    public static Tensor pixels(CogVlm.Config c, List<Image> images) {
        return ImageProcessor.clipSquare(c.vision().image()).batch(images);
    }
}
