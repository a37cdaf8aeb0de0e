package dev.zoetrope.models.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Pretrained;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.language.Generation;
import dev.zoetrope.models.language.KvCache;
import dev.zoetrope.models.language.LanguageModel;
import dev.zoetrope.models.language.Prompt;
import dev.zoetrope.models.language.Steps;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A small language model that turns a wish into the caption that a video model was trained on. It reads letter by letter,
 * so that a mistyped word is still a word, and writes word by word, so that every word is one that the video model knows.
 *
 * <p>A folder holds config.json and weights of any language model, and a tokenizer.json of whole words and, as special
 * tokens, {@link #letters}.
 */
public final class Recaptioner implements AutoCloseable {
    /** What config.json calls a model of this kind, under {@code architectures}. */
    public static final String CLASS = "ZoetropeRecaptioner";

    public static final String PAD = "[PAD]";
    public static final String UNKNOWN = "[UNK]";
    /** Begins a wish. */
    public static final String BEGIN = "<s>";
    /** Ends the wish: from here on words are written. */
    public static final String WRITE = "<caption>";
    /** Ends the caption. */
    public static final String END = "</s>";

    /** Longest wish in letters; what is beyond is not read. */
    public static final int LONGEST = 160;
    /** Longest caption in words. */
    private static final int WORDS = 64;

    private static final String READ = "abcdefghijklmnopqrstuvwxyz0123456789 ";
    private static final Pattern WORD = Pattern.compile("[a-z0-9]+|[.,]");
    private static final Pattern SPACED = Pattern.compile("\\s+([.,])");

    private final LanguageModel model;
    private final Tokenizer tokenizer;

    /** From parts that stand already, as training does; both are closed with this. */
    public Recaptioner(LanguageModel model, Tokenizer tokenizer) {
        this.model = model;
        this.tokenizer = tokenizer;
    }

    public static Recaptioner load(Path folder) {
        Json.read(folder.resolve("config.json")); // refused before the tokenizer, which cannot say what is missing
        Tokenizer tokenizer = Tokenizer.open(folder);
        try {
            return Pretrained.load(folder, (json, w) -> new Recaptioner(LanguageModel.of(json, w), tokenizer));
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    /** The tokens for letters, as the tokenizer's vocabulary has them. */
    public static List<String> letters() {
        return READ.chars().mapToObj(c -> letter((char) c)).toList();
    }

    private static String letter(char c) {
        return "<" + c + ">";
    }

    /** A wish as tokens, ending where the caption begins. Whatever is neither letter nor digit is a space. */
    public static long[] read(Tokenizer tokenizer, String wish) {
        String plain =
                wish.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", " ").strip();
        int n = Math.min(LONGEST, plain.length());
        long[] ids = new long[n + 2];
        ids[0] = tokenizer.id(BEGIN);
        for (int i = 0; i < n; i++) {
            ids[i + 1] = tokenizer.id(letter(plain.charAt(i)));
        }
        ids[n + 1] = tokenizer.id(WRITE);
        return ids;
    }

    /** A caption as tokens, its end included. */
    public static long[] write(Tokenizer tokenizer, String caption) {
        List<Long> ids = new ArrayList<>();
        Matcher m = WORD.matcher(caption.toLowerCase(Locale.ROOT));
        while (m.find()) {
            ids.add((long) tokenizer.id(tokenizer.contains(m.group()) ? m.group() : UNKNOWN));
        }
        ids.add((long) tokenizer.id(END));
        return ids.stream().mapToLong(Long::longValue).toArray();
    }

    /** The likeliest caption for a wish. */
    public String caption(String wish) {
        long[] ids = read(tokenizer, wish);
        List<Long> said = new ArrayList<>();
        int end = tokenizer.id(END);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open();
                KvCache cache = new KvCache();
                Steps steps =
                        Prompt.of(model, Tensor.of(ids, 1, ids.length), null).start(model, cache)) {
            int room = Math.min(WORDS, model.maxPositions() - ids.length);
            Generation.run(
                    steps,
                    Tensor.of(ids, 1, ids.length),
                    Generation.Options.greedy(room).withEnds(Set.of(end), end),
                    chosen -> {
                        if (chosen[0] != end) {
                            said.add(chosen[0]);
                        }
                        return true;
                    },
                    Generation.Observer.NONE);
        }
        String text = tokenizer.decode(said.stream().mapToLong(Long::longValue).toArray(), true);
        return SPACED.matcher(text).replaceAll("$1").strip();
    }

    @Override
    public void close() {
        model.close();
        tokenizer.close();
    }
}
