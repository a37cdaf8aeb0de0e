package dev.zoetrope.media;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Text to token ids and back, as a checkpoint's folder describes it: tokenizer.json, or the older vocabulary files, with
 * tokenizer_config.json beside them. The pieces are cut by Hugging Face's own library; lengths and padding are decided
 * here, whatever the file says about them. Safe for use by several threads at once.
 */
public final class Tokenizer implements AutoCloseable {

    static {
        // The library would else look for a CUDA build of itself on the network, and report its use.
        setIfAbsent("RUST_FLAVOR", "cpu");
        setIfAbsent("OPT_OUT_TRACKING", "true");
    }

    private static void setIfAbsent(String property, String value) {
        if (System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }

    /** Where padding goes, or where a text is cut. */
    public enum Side {
        LEFT,
        RIGHT
    }

    /**
     * Rows of one length.
     *
     * @param ids [row, token]
     * @param mask [row, token], 1 for a token and 0 for padding
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Batch(long[][] ids, long[][] mask) {}

    /**
     * Two texts in one row.
     *
     * @param ids [token]
     * @param typeIds [token], which text a token belongs to, as the model was trained to have it told
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Pair(long[] ids, long[] typeIds) {}

    private final HuggingFaceTokenizer library;
    private final Json config;
    private final Map<String, String> specialTokens;
    private final Map<String, Integer> vocabulary;
    private final String endOfWord;
    private final String source;
    private final @Nullable String chatTemplate;

    private Tokenizer(HuggingFaceTokenizer library, TokenizerFiles files, ObjectNode description, String source) {
        this.library = library;
        this.config = files.config();
        this.specialTokens = files.specialTokens();
        this.chatTemplate = files.chatTemplate();
        this.vocabulary = vocabulary(description);
        this.endOfWord = description.at("/model/end_of_word_suffix").asText("");
        this.source = source;
    }

    /**
     * Opens the tokenizer of a checkpoint.
     *
     * @param folder with tokenizer.json; or vocab.json and merges.txt; or vocab.txt; and where the checkpoint has them
     *     tokenizer_config.json, special_tokens_map.json, chat_template.jinja
     * @throws UserError if none of these is there, or what is there cannot be understood
     */
    public static Tokenizer open(Path folder) {
        TokenizerFiles files = TokenizerFiles.in(folder);
        ObjectNode description = files.description();
        try {
            HuggingFaceTokenizer library = HuggingFaceTokenizer.newInstance(
                    new ByteArrayInputStream(TokenizerFiles.bytes(description)),
                    Map.of("truncation", "DO_NOT_TRUNCATE", "padding", "DO_NOT_PAD"));
            return new Tokenizer(library, files, description, folder.toString());
        } catch (IOException | RuntimeException e) {
            throw new UserError(folder + ": the tokenizer cannot be opened (" + e.getMessage() + ")", e);
        }
    }

    private static Map<String, Integer> vocabulary(JsonNode description) {
        Map<String, Integer> vocabulary = new HashMap<>();
        JsonNode vocab = description.path("model").path("vocab");
        if (vocab.isArray()) {
            for (int id = 0; id < vocab.size(); id++) {
                vocabulary.put(vocab.get(id).path(0).asText(), id);
            }
        } else {
            vocab.properties()
                    .forEach(e -> vocabulary.put(e.getKey(), e.getValue().asInt()));
        }
        for (JsonNode added : description.path("added_tokens")) {
            vocabulary.put(added.path("content").asText(), added.path("id").asInt());
        }
        return vocabulary;
    }

    /** The ids of a text with the special tokens that the model expects around it, uncut. */
    public long[] encode(String text) {
        return library.encode(text, true, false).getIds();
    }

    /** The ids of a text without any special tokens around it; those that are spelled out in it are recognised. */
    public long[] encodePlain(String text) {
        return library.encode(text, false, false).getIds();
    }

    /** The ids of a text with special tokens around it, cut to a length that includes these. */
    public long[] encode(String text, int maxLength) {
        Encoding encoding = library.encode(text, true, false);
        return select(encoding.getIds(), kept(encoding, maxLength));
    }

    /**
     * Two texts as one row, with the special tokens that the model expects around them, cut to a length that includes
     * these: the longer text first.
     */
    public Pair encodePair(String first, String second, int maxLength) {
        Encoding encoding = library.encode(first, second, true, false);
        int[] kept = kept(encoding, maxLength);
        return new Pair(select(encoding.getIds(), kept), select(encoding.getTypeIds(), kept));
    }

    /** The places of the tokens that stay when a row is cut: all special tokens, and of the texts as much as fits. */
    private int[] kept(Encoding encoding, int maxLength) {
        long[] special = encoding.getSpecialTokenMask();
        int length = special.length;
        int specials = (int) Arrays.stream(special).sum();
        if (maxLength < specials) {
            throw new UserError(source + ": texts cannot be cut to " + maxLength + " tokens, because " + specials
                    + " special tokens stand around them");
        }
        long[] text = encoding.getSequenceIds();
        int[] lengths = new int[2];
        for (int i = 0; i < length; i++) {
            if (special[i] == 0) {
                lengths[(int) text[i]]++;
            }
        }
        int[] quota = quota(lengths[0], lengths[1], maxLength - specials);
        boolean fromLeft = side("truncation_side") == Side.LEFT;
        int[] seen = new int[2];
        return IntStream.range(0, length)
                .filter(i -> {
                    if (special[i] != 0) {
                        return true;
                    }
                    int t = (int) text[i];
                    int place = seen[t]++;
                    return fromLeft ? place >= lengths[t] - quota[t] : place < quota[t];
                })
                .toArray();
    }

    /** How many tokens of each text stay: the rule "longest first" of the reference. */
    private static int[] quota(int first, int second, int room) {
        if (first + second <= room) {
            return new int[] {first, second};
        }
        int shorter = Math.min(first, second);
        int longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
        if (shorter + longer > room) {
            shorter = room / 2;
            longer = room - shorter;
        }
        return first > second ? new int[] {longer, shorter} : new int[] {shorter, longer};
    }

    private static long[] select(long[] values, int[] places) {
        return Arrays.stream(places).mapToLong(i -> values[i]).toArray();
    }

    /** Rows of different lengths as a batch as wide as the longest. */
    public Batch pad(List<long[]> rows, Side side) {
        return pad(rows, rows.stream().mapToInt(r -> r.length).max().orElse(0), side);
    }

    /** Rows of different lengths as a batch of a width; none may be wider. */
    public Batch pad(List<long[]> rows, int width, Side side) {
        long pad = padId();
        long[][] ids = new long[rows.size()][width];
        long[][] mask = new long[rows.size()][width];
        for (int r = 0; r < rows.size(); r++) {
            long[] row = rows.get(r);
            if (row.length > width) {
                throw new IllegalArgumentException(
                        "tokenizer: row " + r + " has " + row.length + " tokens, the batch is " + width + " wide");
            }
            int from = side == Side.LEFT ? width - row.length : 0;
            Arrays.fill(ids[r], pad);
            System.arraycopy(row, 0, ids[r], from, row.length);
            Arrays.fill(mask[r], from, from + row.length, 1);
        }
        return new Batch(ids, mask);
    }

    /**
     * The text of ids.
     *
     * @param skipSpecialTokens whether special tokens are left out
     */
    public String decode(long[] ids, boolean skipSpecialTokens) {
        for (long id : ids) {
            if (id < 0 || id > Integer.MAX_VALUE) {
                throw new IllegalArgumentException("tokenizer: id " + id + " is none of the vocabulary");
            }
        }
        String text = library.decode(ids, skipSpecialTokens);
        if (!endOfWord.isEmpty()) {
            text = text.replace(endOfWord, " ").strip();
        }
        return config.get("clean_up_tokenization_spaces", false) ? cleanedUp(text) : text;
    }

    /** Takes out the blanks that WordPiece puts in front of punctuation: the reference's list, in its order. */
    private static String cleanedUp(String text) {
        return text.replace(" .", ".")
                .replace(" ?", "?")
                .replace(" !", "!")
                .replace(" ,", ",")
                .replace(" ' ", "'")
                .replace(" n't", "n't")
                .replace(" 'm", "'m")
                .replace(" 's", "'s")
                .replace(" 've", "'ve")
                .replace(" 're", "'re");
    }

    /** The id of one token, spelled as in the vocabulary. */
    public int id(String token) {
        Integer id = vocabulary.get(token);
        if (id == null) {
            throw new UserError(source + ": the vocabulary has no token '" + token + "'");
        }
        return id;
    }

    public boolean contains(String token) {
        return vocabulary.containsKey(token);
    }

    /** How many tokens there are, special and added ones included. */
    public int size() {
        return vocabulary.size();
    }

    /**
     * The spelling of a special token, or null if the checkpoint names none.
     *
     * @param role such as "bos_token"
     */
    public @Nullable String token(String role) {
        return specialTokens.get(role);
    }

    /**
     * The id of a special token.
     *
     * @param role such as "eos_token"
     */
    public int specialId(String role) {
        String token = token(role);
        if (token == null) {
            throw new UserError(source + ": tokenizer_config.json names no " + role);
        }
        return id(token);
    }

    public int padId() {
        return specialId("pad_token");
    }

    /** How long the model's rows may be, or {@link Integer#MAX_VALUE} where the checkpoint does not say. */
    public int maxLength() {
        return (int) Math.min(Integer.MAX_VALUE, config.get("model_max_length", (double) Integer.MAX_VALUE));
    }

    /** Where this checkpoint's batches are padded. */
    public Side paddingSide() {
        return side("padding_side");
    }

    private Side side(String key) {
        return config.get(key, "right").equals("left") ? Side.LEFT : Side.RIGHT;
    }

    public boolean hasChatTemplate() {
        return chatTemplate != null;
    }

    /** The template that turns a conversation into text. */
    public ChatTemplate chatTemplate() {
        if (chatTemplate == null) {
            throw new UserError(source + ": the checkpoint has no chat template (neither chat_template in"
                    + " tokenizer_config.json nor chat_template.jinja)");
        }
        return new ChatTemplate(chatTemplate, specialTokens);
    }

    @Override
    public void close() {
        library.close();
    }
}
