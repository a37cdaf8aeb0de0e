package dev.zoetrope.training.sora;

import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.training.WordTokenizer;
import dev.zoetrope.world.Caption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The tokenizer of the built-in model: one token for each word of Carousel's captions. */
public final class Vocabulary {
    public static final String PAD = "[PAD]";

    private Vocabulary() {}

    /** Of captions and of what people may say instead. */
    public static Set<String> words() {
        Set<String> words = new TreeSet<>(Caption.words());
        words.addAll(Paraphrase.words());
        return words;
    }

    /** Writes {@code tokenizer.json} for the words of Carousel. */
    public static void write(Path folder) {
        write(folder, words());
    }

    /** Writes {@code tokenizer.json} for other words. */
    public static void write(Path folder, Set<String> words) {
        WordTokenizer.write(folder, List.of(PAD, Sora.UNKNOWN, Sora.NO_CAPTION), Sora.UNKNOWN, words, Map.of());
    }
}
