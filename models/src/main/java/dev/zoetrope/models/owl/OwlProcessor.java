package dev.zoetrope.models.owl;

import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/** From pictures and prompts with {@code <image>} in them to what {@link Owl} reads. */
public final class OwlProcessor implements AutoCloseable {
    /** Where a picture stands in a text. */
    public static final String IMAGE = "<image>";

    private static final String SYSTEM =
            "The following is a conversation between a curious human and AI assistant. The assistant gives helpful, "
                    + "detailed, and polite answers to the user's questions.";

    private final Tokenizer tokenizer;
    private final ImageProcessor pictures;
    private final int tokensPerImage;

    private OwlProcessor(Tokenizer tokenizer, ImageProcessor pictures, int tokensPerImage) {
        this.tokenizer = tokenizer;
        this.pictures = pictures;
        this.tokensPerImage = tokensPerImage;
    }

    /** Tokenizer and processor of a release's folder. */
    public static OwlProcessor open(Path folder, Owl.Config c) {
        return new OwlProcessor(
                Tokenizer.open(folder),
                squashing(ImageProcessor.open(folder), c.vision().image()),
                c.queries() + 1);
    }

    /** Pictures are brought to the tower's size without regard to their shape, so that nothing is cut off. */
    public static ImageProcessor squashing(ImageProcessor published, int size) {
        ImageProcessor.Step squash = new ImageProcessor.Squash(new ImageProcessor.Size(size, size), Filter.BICUBIC);
        return new ImageProcessor(List.of(squash), published.scale(), published.mean(), published.std(), null);
    }

    /** Pictures as the tower reads them, {@code [picture, 3, height, width]}. */
    public Tensor pixels(List<Image> images) {
        return pictures.batch(images);
    }

    /** A question with its answer; the answer is empty for the one that is asked for. */
    public record Turn(String question, String answer) {}

    /** A conversation as the released models were tuned on, up to the answer that is to be said. */
    public static String text(List<Turn> turns) {
        List<String> lines = new ArrayList<>(List.of(SYSTEM));
        for (Turn t : turns) {
            String question = t.question();
            int at = question.indexOf(IMAGE);
            while (at >= 0) {
                lines.add("Human: " + IMAGE);
                question = question.substring(0, at) + question.substring(at + IMAGE.length());
                at = question.indexOf(IMAGE);
            }
            lines.add("Human: " + question.strip());
            lines.add("AI: " + t.answer());
        }
        return String.join("\n", lines);
    }

    /** The ids of a prompt with the start token, {@link Owl#IMAGE} where pictures stand. */
    public long[] ids(String prompt) {
        return ids(tokenizer, prompt, tokensPerImage);
    }

    /** The ids of a text that is cut at its pictures, each piece tokenised on its own. */
    public static long[] ids(Tokenizer tokenizer, String prompt, int tokensPerImage) {
        long[] image = new long[tokensPerImage];
        Arrays.fill(image, Owl.IMAGE);
        LongStream all = LongStream.of(tokenizer.specialId("bos_token"));
        String[] pieces = prompt.split(IMAGE, -1);
        for (int i = 0; i < pieces.length; i++) {
            if (i > 0) {
                all = LongStream.concat(all, Arrays.stream(image));
            }
            if (!pieces[i].isEmpty()) {
                all = LongStream.concat(all, Arrays.stream(tokenizer.encodePlain(pieces[i])));
            }
        }
        return all.toArray();
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
