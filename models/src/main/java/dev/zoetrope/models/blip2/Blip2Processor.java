package dev.zoetrope.models.blip2;

import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** From pictures and prompts to what {@link Blip2} reads, and from tokens to text. */
public final class Blip2Processor implements AutoCloseable {
    private final Tokenizer tokenizer;
    private final ImageProcessor pictures;
    private final long imageToken;
    private final int queries;

    /**
     * @param imageToken stands in front of the words for each query of the picture; -1 for none
     */
    public Blip2Processor(Tokenizer tokenizer, ImageProcessor pictures, long imageToken, int queries) {
        this.tokenizer = tokenizer;
        this.pictures = pictures;
        this.imageToken = imageToken;
        this.queries = queries;
    }

    /** Tokenizer and processor of a release's folder. */
    public static Blip2Processor open(Path folder, Blip2.Config c) {
        ImageProcessor pictures = ImageProcessor.open(folder);
        return new Blip2Processor(Tokenizer.open(folder), pictures, c.imageToken(), c.queries());
    }

    /** Pictures as the model sees them, {@code [picture, 3, height, width]}. */
    public Tensor pixels(List<Image> images) {
        return pictures.batch(images);
    }

    /** One picture, then the words of the prompt with the tokens that the language model starts or ends a text with. */
    public long[] ids(String prompt) {
        long[] words = tokenizer.encode(prompt);
        if (imageToken < 0) {
            return words;
        }
        long[] r = new long[queries + words.length];
        Arrays.fill(r, 0, queries, imageToken);
        System.arraycopy(words, 0, r, queries, words.length);
        return r;
    }

    /** The text of generated tokens, without special ones and spaces around it. */
    public String text(long... ids) {
        return tokenizer.decode(ids, true).strip();
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
