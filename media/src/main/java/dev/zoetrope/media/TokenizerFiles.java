package dev.zoetrope.media;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The files of a tokenizer. What older checkpoints have in several files is put together here in the form of tokenizer.json,
 * by the rules of the class that tokenizer_config.json names.
 */
final class TokenizerFiles {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final List<String> ROLES =
            List.of("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token");

    private final Path folder;
    private final Json config;
    private final Map<String, String> specialTokens;

    private TokenizerFiles(Path folder) {
        this.folder = folder;
        this.config = optional("tokenizer_config.json");
        this.specialTokens = readSpecialTokens();
    }

    static TokenizerFiles in(Path folder) {
        return new TokenizerFiles(folder);
    }

    Json config() {
        return config;
    }

    /** Role, such as "bos_token", to spelling. */
    Map<String, String> specialTokens() {
        return specialTokens;
    }

    private Json optional(String name) {
        Path file = folder.resolve(name);
        return Files.isRegularFile(file) ? Json.read(file) : Json.empty();
    }

    private Map<String, String> readSpecialTokens() {
        Json map = optional("special_tokens_map.json");
        Map<String, String> tokens = new LinkedHashMap<>();
        for (String role : ROLES) {
            for (Json source : List.of(config, map)) {
                if (source.has(role) && !tokens.containsKey(role)) {
                    tokens.put(role, source.isObject(role) ? source.at(role).require("content") : source.require(role));
                }
            }
        }
        return tokens;
    }

    /** The chat template, or null. */
    @Nullable
    String chatTemplate() {
        Path file = folder.resolve("chat_template.jinja");
        if (Files.isRegularFile(file)) {
            return text(file);
        }
        Json json = optional("chat_template.json").has("chat_template") ? optional("chat_template.json") : config;
        if (!json.has("chat_template")) {
            return null;
        }
        if (!json.isArray("chat_template")) {
            return json.require("chat_template");
        }
        List<Json> templates = json.list("chat_template");
        return templates.stream()
                .filter(t -> t.get("name", "").equals("default"))
                .findFirst()
                .orElseThrow(() -> new UserError(
                        json.name() + ": chat_template has several templates, none of them" + " named default"))
                .require("template");
    }

    /** The content of tokenizer.json, without cutting and padding. */
    ObjectNode description() {
        ObjectNode description;
        if (has("tokenizer.json")) {
            description = (ObjectNode) tree("tokenizer.json");
        } else if (has("vocab.json") && has("merges.txt")) {
            description = bytePairs();
        } else if (has("vocab.txt")) {
            description = wordPieces();
        } else if (has("spiece.model") || has("tokenizer.model")) {
            Path model = folder.resolve(has("spiece.model") ? "spiece.model" : "tokenizer.model");
            description = SentencePiece.read(model).description(config, specialTokens);
        } else {
            throw new UserError(
                    folder + ": no tokenizer: expected tokenizer.json, vocab.json with merges.txt, vocab.txt,"
                            + " spiece.model or tokenizer.model");
        }
        description.putNull("truncation");
        description.putNull("padding");
        return description;
    }

    static byte[] bytes(ObjectNode description) {
        try {
            return MAPPER.writeValueAsBytes(description);
        } catch (IOException e) {
            throw new IllegalStateException("tokenizer: writing into memory failed", e);
        }
    }

    private boolean has(String name) {
        return Files.isRegularFile(folder.resolve(name));
    }

    private JsonNode tree(String name) {
        Path file = folder.resolve(name);
        try {
            JsonNode tree = MAPPER.readTree(file.toFile());
            if (!tree.isObject()) {
                throw new UserError(file + ": expected an object { ... } at the top");
            }
            return tree;
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read (" + e.getMessage() + ")", e);
        }
    }

    private static String text(Path file) {
        try {
            return Files.readString(file, StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UserError(file + ": cannot be read (" + e + ")", e);
        }
    }

    /** vocab.json and merges.txt: byte pairs, whose cutting into words differs from class to class. */
    private ObjectNode bytePairs() {
        String type = config.get("tokenizer_class", "GPT2Tokenizer").replaceFirst("Fast$", "");
        ObjectNode model = object("BPE");
        model.set("vocab", tree("vocab.json"));
        ArrayNode merges = model.putArray("merges");
        text(folder.resolve("merges.txt"))
                .lines()
                .filter(line -> !line.startsWith("#version") && !line.isBlank())
                .forEach(merges::add);
        ObjectNode description = MAPPER.createObjectNode();
        ObjectNode wholeBytes = object("ByteLevel").put("add_prefix_space", config.get("add_prefix_space", false));
        wholeBytes.put("trim_offsets", true).put("use_regex", true);
        switch (type) {
            case "CLIPTokenizer" -> {
                model.put("end_of_word_suffix", "</w>").put("continuing_subword_prefix", "");
                model.put("unk_token", special("unk_token", "<|endoftext|>"));
                description.set(
                        "normalizer",
                        sequence("normalizers", object("NFC"), replace("\\s+", " "), object("Lowercase")));
                String words =
                        "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
                description.set("pre_tokenizer", sequence("pretokenizers", split(words, "Removed", true), wholeBytes));
                ObjectNode around =
                        object("RobertaProcessing").put("trim_offsets", false).put("add_prefix_space", false);
                String start = special("bos_token", "<|startoftext|>");
                String end = special("eos_token", "<|endoftext|>");
                around.putArray("cls").add(start).add(id(model, start));
                around.putArray("sep").add(end).add(id(model, end));
                description.set("post_processor", around);
            }
            case "GPT2Tokenizer" -> {
                description.set("pre_tokenizer", wholeBytes);
                if (config.get("add_bos_token", false)) {
                    description.set("post_processor", around(model, special("bos_token", "<|endoftext|>"), null));
                }
            }
            case "Qwen2Tokenizer" -> {
                description.set("normalizer", object("NFC"));
                String words =
                        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                                + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
                wholeBytes.put("use_regex", false);
                description.set(
                        "pre_tokenizer", sequence("pretokenizers", split(words, "Isolated", false), wholeBytes));
            }
            default ->
                throw config.unsupported(
                        "tokenizer_class",
                        "with vocab.json and merges.txt: CLIPTokenizer, GPT2Tokenizer, Qwen2Tokenizer");
        }
        description.set("decoder", wholeBytes.deepCopy());
        description.set("model", model);
        addTokens(description);
        return description;
    }

    /** vocab.txt: one word piece a line. */
    private ObjectNode wordPieces() {
        ObjectNode model = object("WordPiece");
        model.put("unk_token", special("unk_token", "[UNK]")).put("continuing_subword_prefix", "##");
        model.put("max_input_chars_per_word", 100);
        ObjectNode vocabulary = model.putObject("vocab");
        text(folder.resolve("vocab.txt")).lines().forEach(line -> vocabulary.put(line, vocabulary.size()));
        ObjectNode description = MAPPER.createObjectNode();
        ObjectNode normalizer = object("BertNormalizer");
        normalizer.put("clean_text", true).put("handle_chinese_chars", config.get("tokenize_chinese_chars", true));
        normalizer.put("lowercase", config.get("do_lower_case", true)).putNull("strip_accents");
        if (config.has("strip_accents")) {
            normalizer.put("strip_accents", config.get("strip_accents", true));
        }
        description.set("normalizer", normalizer);
        description.set("pre_tokenizer", object("BertPreTokenizer"));
        special("pad_token", "[PAD]");
        special("mask_token", "[MASK]");
        description.set("post_processor", around(model, special("cls_token", "[CLS]"), special("sep_token", "[SEP]")));
        description.set("decoder", object("WordPiece").put("prefix", "##").put("cleanup", true));
        description.set("model", model);
        addTokens(description);
        return description;
    }

    /** The spelling of a special token; where the files do not name it, the default of the tokenizer's class from now on. */
    private String special(String role, String absent) {
        return specialTokens.computeIfAbsent(role, r -> absent);
    }

    /** Lists the special tokens, and what tokenizer_config.json adds, so that the library finds them in texts. */
    private void addTokens(ObjectNode description) {
        JsonNode vocabulary = description.path("model").path("vocab");
        Map<String, Integer> added = new LinkedHashMap<>();
        for (String token : specialTokens.values()) {
            if (vocabulary.has(token)) {
                added.put(token, vocabulary.get(token).asInt());
            }
        }
        Json decoder = config.at("added_tokens_decoder");
        for (String id : decoder.keys()) {
            added.put(decoder.at(id).require("content"), Integer.parseInt(id));
        }
        ArrayNode list = description.putArray("added_tokens");
        added.forEach((content, id) -> addToken(list, content, id));
    }

    static void addToken(ArrayNode list, String content, int id) {
        ObjectNode token =
                list.addObject().put("id", id).put("content", content).put("special", true);
        token.put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", false);
    }

    static ObjectNode object(String type) {
        return MAPPER.createObjectNode().put("type", type);
    }

    static ObjectNode sequence(String key, ObjectNode... parts) {
        ObjectNode sequence = object("Sequence");
        ArrayNode list = sequence.putArray(key);
        for (ObjectNode part : parts) {
            list.add(part);
        }
        return sequence;
    }

    static ObjectNode replace(String regex, String content) {
        ObjectNode replace = object("Replace").put("content", content);
        replace.putObject("pattern").put("Regex", regex);
        return replace;
    }

    private static ObjectNode split(String regex, String behavior, boolean invert) {
        ObjectNode split = object("Split").put("behavior", behavior).put("invert", invert);
        split.putObject("pattern").put("Regex", regex);
        return split;
    }

    /** The special tokens around one text and around two, of which either may be null. */
    static ObjectNode around(ObjectNode model, @Nullable String first, @Nullable String last) {
        ObjectNode template = object("TemplateProcessing");
        ObjectNode tokens = template.putObject("special_tokens");
        ArrayNode single = template.putArray("single");
        ArrayNode pair = template.putArray("pair");
        piece(single, tokens, model, first, 0);
        sequence(single, "A", 0);
        piece(single, tokens, model, last, 0);
        piece(pair, tokens, model, first, 0);
        sequence(pair, "A", 0);
        piece(pair, tokens, model, last, 0);
        boolean bert = model.path("type").asText().equals("WordPiece");
        int second = bert ? 1 : 0;
        piece(pair, tokens, model, bert ? null : first, second);
        sequence(pair, "B", second);
        piece(pair, tokens, model, last, second);
        return template;
    }

    private static void sequence(ArrayNode template, String name, int type) {
        template.addObject().putObject("Sequence").put("id", name).put("type_id", type);
    }

    private static void piece(
            ArrayNode template, ObjectNode tokens, ObjectNode model, @Nullable String token, int type) {
        if (token == null) {
            return;
        }
        template.addObject().putObject("SpecialToken").put("id", token).put("type_id", type);
        ObjectNode special = tokens.putObject(token).put("id", token);
        special.putArray("ids").add(id(model, token));
        special.putArray("tokens").add(token);
    }

    private static int id(ObjectNode model, String token) {
        JsonNode vocabulary = model.path("vocab");
        if (vocabulary.has(token)) {
            return vocabulary.get(token).asInt();
        }
        for (int i = 0; i < vocabulary.size() && vocabulary.isArray(); i++) {
            if (vocabulary.get(i).get(0).asText().equals(token)) {
                return i;
            }
        }
        throw new UserError("tokenizer: special token '" + token + "' is not in the vocabulary");
    }
}
