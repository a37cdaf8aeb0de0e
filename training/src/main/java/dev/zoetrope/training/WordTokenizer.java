package dev.zoetrope.training;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Tokenizers of one token a word, for models of the built-in world, in the form of the tokenizers library. */
public final class WordTokenizer {
    private WordTokenizer() {}

    /**
     * Writes tokenizer.json.
     *
     * @param special tokens that no text spells, which get the first ids
     * @param unknown the one of them that stands for all other words
     * @param words in small letters; ids follow their alphabetical order
     * @param around post-processor of the library, or empty
     */
    public static void write(
            Path folder, List<String> special, String unknown, Collection<String> words, Map<String, Object> around) {
        Map<String, Integer> ids = new LinkedHashMap<>();
        List<Map<String, Object>> added = new ArrayList<>();
        for (String token : special) {
            added.add(special(ids.size(), token));
            ids.put(token, ids.size());
        }
        for (String word : new TreeSet<>(words)) {
            ids.putIfAbsent(word, ids.size());
        }
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("version", "1.0");
        json.put("added_tokens", added);
        json.put("normalizer", Map.of("type", "Lowercase"));
        // Punctuation goes, letters and digits stay together: what Caption.words() counts as a word.
        Map<String, Object> split = new LinkedHashMap<>();
        split.put("type", "Split");
        split.put("pattern", Map.of("Regex", "[^\\p{L}\\p{N}]+"));
        split.put("behavior", "Removed");
        split.put("invert", false);
        json.put("pre_tokenizer", split);
        if (!around.isEmpty()) {
            json.put("post_processor", around);
        }
        json.put("model", Map.of("type", "WordLevel", "vocab", ids, "unk_token", unknown));
        writeJson(folder.resolve("tokenizer.json"), json);
    }

    /** Writes a tokenizer that puts {@code begin} before and {@code end} behind a text and fills up with {@code pad}. */
    public static void write(
            Path folder, String begin, String end, String pad, Collection<String> words, int maxLength) {
        write(folder, begin, end, pad, words, maxLength, true);
    }

    /**
     * @param closes whether {@code end} is put behind a text; false for models that go on with it
     */
    public static void write(
            Path folder,
            String begin,
            String end,
            String pad,
            Collection<String> words,
            int maxLength,
            boolean closes) {
        String unknown = "[UNK]";
        List<String> special = List.of(pad, unknown, begin, end);
        Map<String, Object> tokens = new LinkedHashMap<>();
        for (String token : List.of(begin, end)) {
            tokens.put(token, Map.of("id", token, "ids", List.of(special.indexOf(token)), "tokens", List.of(token)));
        }
        Map<String, Object> around = new LinkedHashMap<>();
        around.put("type", "TemplateProcessing");
        Map<String, Object> text = Map.of("Sequence", Map.of("id", "A", "type_id", 0));
        around.put("single", closes ? List.of(token(begin), text, token(end)) : List.of(token(begin), text));
        around.put("pair", List.of(text));
        around.put("special_tokens", tokens);
        write(folder, special, unknown, words, around);
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("tokenizer_class", "PreTrainedTokenizerFast");
        config.put("bos_token", begin);
        config.put("eos_token", end);
        config.put("pad_token", pad);
        config.put("unk_token", unknown);
        config.put("model_max_length", maxLength);
        writeJson(folder.resolve("tokenizer_config.json"), config);
    }

    private static Map<String, Object> token(String token) {
        return Map.of("SpecialToken", Map.of("id", token, "type_id", 0));
    }

    private static Map<String, Object> special(int id, String content) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("id", id);
        m.put("content", content);
        m.put("single_word", false);
        m.put("lstrip", false);
        m.put("rstrip", false);
        m.put("normalized", false);
        m.put("special", true);
        return m;
    }

    private static void writeJson(Path file, Map<String, Object> json) {
        try {
            byte[] text = (new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n")
                    .getBytes(StandardCharsets.UTF_8);
            AtomicFile.write(file, out -> out.write(text));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("texts and numbers are JSON", e);
        }
    }
}
