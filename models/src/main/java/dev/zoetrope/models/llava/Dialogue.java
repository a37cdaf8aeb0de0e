package dev.zoetrope.models.llava;

import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.NextToken;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The words around questions and answers with which the LLaVA family is trained: Vicuna's (version 1.1), whose turns end
 * in a token that the language model knows as the end of a text.
 *
 * @param system stands before the first question
 * @param end stands behind each answer, {@code </s>} for Llama, {@code <|endoftext|>} for Phi and Qwen
 */
public record Dialogue(String system, String end) {
    private static final String SYSTEM =
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
                    + "detailed, and polite answers to the user's questions.";

    /**
     * A question with its answer.
     *
     * @param answer empty for the one that is asked for
     */
    public record Turn(String question, String answer) {
        /** The same with the picture of the question, if there is one, on a line before it; several stay where they are. */
        Turn imageFirst() {
            if (question.split(LlavaProcessor.IMAGE, -1).length != 2) {
                return this;
            }
            String words = question.replace(LlavaProcessor.IMAGE, "").strip();
            return new Turn((LlavaProcessor.IMAGE + "\n" + words).strip(), answer);
        }
    }

    /** A row for training: the ids, and what of them is to be learned, {@link NextToken#IGNORED} elsewhere. */
    @SuppressWarnings("ArrayRecordComponent")
    public record Labelled(long[] ids, long[] labels) {}

    public static Dialogue of(String end) {
        return new Dialogue(SYSTEM, end);
    }

    /** As a text. The answer of the last turn may be missing: then the text ends where it is to be said. */
    public String text(List<Turn> turns) {
        StringBuilder s = new StringBuilder(system).append(' ');
        for (Turn t : turns) {
            s.append("USER: ").append(t.imageFirst().question()).append(" ASSISTANT:");
            if (!t.answer().isEmpty()) {
                s.append(' ').append(t.answer()).append(end);
            }
        }
        return s.toString();
    }

    /** The row of a conversation, in which the answers and their end tokens are to be learned. */
    public Labelled labelled(Tokenizer tokenizer, List<Turn> turns, long mark) {
        long[] ids = LlavaProcessor.pieceByPiece(tokenizer, text(turns), mark);
        long[] labels = new long[ids.length];
        Arrays.fill(labels, NextToken.IGNORED);
        for (int i = 0; i < turns.size(); i++) {
            List<Turn> asked = new ArrayList<>(turns.subList(0, i));
            asked.add(new Turn(turns.get(i).question(), ""));
            // The space before an answer is a token where nothing follows; in the row it is part of the first word.
            int from = LlavaProcessor.pieceByPiece(tokenizer, text(asked) + " ", mark).length - 1;
            int to = LlavaProcessor.pieceByPiece(tokenizer, text(turns.subList(0, i + 1)), mark).length;
            System.arraycopy(ids, from, labels, from, to - from);
        }
        return new Labelled(ids, labels);
    }

    /** The row of a picture and its caption alone, with which a connector starts: the caption is to be learned. */
    public static Labelled caption(Tokenizer tokenizer, String caption, long mark) {
        long[] ids = LlavaProcessor.pieceByPiece(tokenizer, LlavaProcessor.IMAGE + caption + "\n", mark);
        int before = LlavaProcessor.pieceByPiece(tokenizer, LlavaProcessor.IMAGE, mark).length;
        long[] labels = ids.clone();
        Arrays.fill(labels, 0, before, NextToken.IGNORED);
        return new Labelled(ids, labels);
    }
}
