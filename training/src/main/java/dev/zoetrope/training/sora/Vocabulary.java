package dev.zoetrope.training.sora;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.checkpoint.AtomicFile;
import dev.zoetrope.models.sora.Sora;
import dev.zoetrope.world.Caption;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The tokenizer of the built-in model: one token for each word of Carousel's captions, in the tokenizers library's form. */
final class Vocabulary {
    private static final String PAD = "[PAD]";

    private Vocabulary() {}

    static void write(Path folder) {
        Map<String, Integer> ids = new LinkedHashMap<>();
        for (String special : List.of(PAD, Sora.UNKNOWN, Sora.NO_CAPTION)) {
            ids.put(special, ids.size());
        }
        Set<String> words = new TreeSet<>(Caption.words());
        words.addAll(Paraphrase.words());
        for (String word : words) {
            ids.putIfAbsent(word, ids.size());
        }
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("version", "1.0");
        json.put("added_tokens", List.of(special(0, PAD), special(1, Sora.UNKNOWN), special(2, Sora.NO_CAPTION)));
        json.put("normalizer", Map.of("type", "Lowercase"));
        // Punctuation goes, letters and digits stay together: what Caption.words() counts as a word.
        json.put(
                "pre_tokenizer",
                Map.of(
                        "type",
                        "Split",
                        "pattern",
                        Map.of("Regex", "[^\\p{L}\\p{N}]+"),
                        "behavior",
                        "Removed",
                        "invert",
                        false));
        json.put("model", Map.of("type", "WordLevel", "vocab", ids, "unk_token", Sora.UNKNOWN));
        try {
            Files.createDirectories(folder);
            byte[] text = new ObjectMapper()
                    .writerWithDefaultPrettyPrinter()
                    .writeValueAsString(json)
                    .getBytes(StandardCharsets.UTF_8);
            AtomicFile.write(folder.resolve("tokenizer.json"), out -> out.write(text));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        } catch (IOException e) {
            throw new dev.zoetrope.tensor.UserError(folder + ": cannot be written: " + e.getMessage(), e);
        }
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
}
