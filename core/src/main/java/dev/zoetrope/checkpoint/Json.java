package dev.zoetrope.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.StringReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A JSON object as a configuration: each key is asked for by name with the default that applies where it is absent or
 * null. A value of the wrong kind is a {@link UserError} that names file, key and value:
 * {@code config.json: hidden_size "abc" is not a whole number}.
 */
public final class Json {
    private static final long MAX_BYTES = 256L << 20; // the largest tokenizer files are a tenth of it

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(64)
                            .maxNumberLength(64)
                            .maxDocumentLength(MAX_BYTES)
                            .build())
                    .build())
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS) // Python writes NaN and Infinity
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
            .build();

    private final String file;
    private final String path;
    private final JsonNode node;

    private Json(String file, String path, JsonNode node) {
        this.file = file;
        this.path = path;
        this.node = node;
    }

    /** Reads a file whose top is an object. */
    public static Json read(Path file) {
        try (Reader in = new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8.newDecoder())) {
            return object(file.toString(), in);
        } catch (NoSuchFileException e) {
            throw new UserError(file + ": there is no such file", e);
        } catch (CharacterCodingException e) {
            throw new UserError(file + ": is not UTF-8", e);
        } catch (IOException e) {
            throw new UserError(file + ": cannot read: " + e, e);
        }
    }

    /** @param name what messages call the text */
    public static Json parse(String name, String text) {
        try (Reader in = new StringReader(text)) {
            return object(name, in);
        } catch (IOException e) {
            throw new UserError(name + ": cannot read: " + e, e);
        }
    }

    /** The configuration in which every key is absent. */
    public static Json empty() {
        return new Json("default configuration", "", JsonNodeFactory.instance.objectNode());
    }

    /**
     * A configuration that a program makes.
     *
     * @param name what messages call it
     */
    public static Json of(String name, Map<String, ?> values) {
        return new Json(name, "", MAPPER.valueToTree(values));
    }

    private static Json object(String name, Reader in) throws IOException {
        JsonNode node;
        try {
            node = MAPPER.readTree(in);
        } catch (JsonProcessingException e) {
            String at = e.getLocation() == null
                    ? ""
                    : " at line " + e.getLocation().getLineNr() + ", column "
                            + e.getLocation().getColumnNr();
            throw new UserError(name + ": bad JSON" + at + ": " + e.getOriginalMessage(), e);
        }
        if (!node.isObject()) {
            throw new UserError(name + ": expected an object { ... } at the top");
        }
        return new Json(name, "", node);
    }

    static byte[] bytes(Object value) {
        try {
            return MAPPER.writeValueAsBytes(value);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** What messages call this configuration: its file and the keys down to it. */
    public String name() {
        return path.isEmpty() ? file : file + ": " + path.substring(0, path.length() - 1);
    }

    /** Whether the key is there and not null. */
    public boolean has(String key) {
        return node.hasNonNull(key);
    }

    /** Whether the key's value is an object; for keys that some releases fill with a plain value instead. */
    public boolean isObject(String key) {
        return node.path(key).isObject();
    }

    /** Whether the key's value is an array. */
    public boolean isArray(String key) {
        return node.path(key).isArray();
    }

    public List<String> keys() {
        List<String> r = new ArrayList<>();
        node.fieldNames().forEachRemaining(r::add);
        return r;
    }

    public int get(String key, int absent) {
        return has(key) ? (int) whole(key, node.get(key), Integer.MIN_VALUE, Integer.MAX_VALUE) : absent;
    }

    public long get(String key, long absent) {
        return has(key) ? whole(key, node.get(key), Long.MIN_VALUE, Long.MAX_VALUE) : absent;
    }

    public double get(String key, double absent) {
        return has(key) ? number(key, node.get(key)) : absent;
    }

    public boolean get(String key, boolean absent) {
        if (!has(key)) {
            return absent;
        }
        JsonNode v = node.get(key);
        if (!v.isBoolean()) {
            throw error(key, v, "is neither true nor false");
        }
        return v.booleanValue();
    }

    public String get(String key, String absent) {
        if (!has(key)) {
            return absent;
        }
        return text(key, node.get(key));
    }

    /** A name of the enum in small or capital letters: {@code "gelu_new"} is {@code GELU_NEW}. */
    public <E extends Enum<E>> E get(String key, E absent) {
        return has(key) ? constant(key, absent.getDeclaringClass()) : absent;
    }

    /** A text that the function turns into a value or refuses by {@link UserError}, whose reason is passed on. */
    public <T> T get(String key, T absent, Function<String, T> parse) {
        if (!has(key)) {
            return absent;
        }
        String text = get(key, "");
        try {
            return parse.apply(text);
        } catch (UserError e) {
            throw new UserError(file + ": " + path + key + " \"" + text + "\": " + e.getMessage(), e);
        }
    }

    /** An array of whole numbers. */
    public int[] get(String key, int[] absent) {
        return has(key)
                ? elements(key).stream()
                        .mapToInt(v -> (int) whole(key, v, Integer.MIN_VALUE, Integer.MAX_VALUE))
                        .toArray()
                : absent.clone();
    }

    /** An array of numbers. */
    public double[] get(String key, double[] absent) {
        return has(key)
                ? elements(key).stream().mapToDouble(v -> number(key, v)).toArray()
                : absent.clone();
    }

    /** An array of texts. */
    public List<String> get(String key, List<String> absent) {
        return has(key) ? elements(key).stream().map(v -> text(key, v)).toList() : absent;
    }

    /** An array of truth values. */
    public List<Boolean> booleans(String key, List<Boolean> absent) {
        if (!has(key)) {
            return absent;
        }
        List<Boolean> r = new ArrayList<>();
        for (JsonNode v : elements(key)) {
            if (!v.isBoolean()) {
                throw error(key, v, "is neither true nor false");
            }
            r.add(v.booleanValue());
        }
        return r;
    }

    /** A whole number, or the array of two that some releases write instead, as the value for both axes. */
    public int[] pair(String key, int absent) {
        if (!has(key)) {
            return new int[] {absent, absent};
        }
        if (!node.get(key).isArray()) {
            int n = get(key, absent);
            return new int[] {n, n};
        }
        int[] r = get(key, new int[0]);
        if (r.length != 2) {
            throw error(key, node.get(key), "is neither a number nor two");
        }
        return r;
    }

    /** The object under a key, or an empty one. */
    public Json at(String key) {
        if (!has(key)) {
            return new Json(file, path + key + ".", JsonNodeFactory.instance.objectNode());
        }
        JsonNode v = node.get(key);
        if (!v.isObject()) {
            throw error(key, v, "is not an object");
        }
        return new Json(file, path + key + ".", v);
    }

    /** The objects in an array; empty where it is absent. */
    public List<Json> list(String key) {
        List<Json> r = new ArrayList<>();
        if (has(key)) {
            for (JsonNode v : elements(key)) {
                if (!v.isObject()) {
                    throw error(key, v, "is not an object");
                }
                r.add(new Json(file, path + key + "[" + r.size() + "].", v));
            }
        }
        return r;
    }

    /** An object of texts, in its order; empty where it is absent. */
    public Map<String, String> texts(String key) {
        Map<String, String> r = new LinkedHashMap<>();
        Json object = at(key);
        for (String k : object.keys()) {
            r.put(k, object.require(k));
        }
        return r;
    }

    /** What stands under a key in Java's own types, for texts of users: Map, List, String, Number, Boolean; else null. */
    public @Nullable Object value(String key) {
        return MAPPER.convertValue(node.get(key), Object.class);
    }

    /** A copy in which a key has another value, of Java's own types. */
    public Json with(String key, Object value) {
        ObjectNode copy = node.deepCopy();
        copy.set(key, MAPPER.valueToTree(value));
        return new Json(file, path, copy);
    }

    /** Number of entries of an object or array. */
    public int size(String key, int absent) {
        if (!has(key)) {
            return absent;
        }
        JsonNode v = node.get(key);
        if (!v.isContainerNode()) {
            throw error(key, v, "is neither an object nor an array");
        }
        return v.size();
    }

    /** A text that must be there. */
    public String require(String key) {
        return text(key, required(key));
    }

    /** A whole number that must be there. */
    public int requireInt(String key) {
        return (int) whole(key, required(key), Integer.MIN_VALUE, Integer.MAX_VALUE);
    }

    /** An object that must be there. */
    public Json requireAt(String key) {
        required(key);
        return at(key);
    }

    /** A failure that names this file and key, for a value of the right kind that is not supported. */
    public UserError unsupported(String key, Object supported) {
        return new UserError(
                file + ": " + path + key + " " + node.path(key) + " is not supported; supported: " + supported);
    }

    /** Refuses any value but this one, for a key that selects between variants of which one is implemented. */
    public void expect(String key, String only) {
        if (!get(key, only).equals(only)) {
            throw unsupported(key, '"' + only + '"');
        }
    }

    /** Refuses any value but this one, for a key that selects between variants of which one is implemented. */
    public void expect(String key, boolean only) {
        if (get(key, only) != only) {
            throw unsupported(key, only);
        }
    }

    @Override
    public String toString() {
        return node.toString();
    }

    private JsonNode required(String key) {
        if (!has(key)) {
            throw new UserError(file + ": " + path + key + " is missing; present: " + keys());
        }
        return node.get(key);
    }

    private List<JsonNode> elements(String key) {
        JsonNode v = node.get(key);
        if (!v.isArray()) {
            throw error(key, v, "is not an array");
        }
        List<JsonNode> r = new ArrayList<>(v.size());
        v.forEach(r::add);
        return r;
    }

    private long whole(String key, JsonNode v, long min, long max) {
        boolean wholeNumber = v.isIntegralNumber() || (v.isNumber() && v.doubleValue() == Math.rint(v.doubleValue()));
        if (!wholeNumber) {
            throw error(key, v, "is not a whole number");
        }
        if (!v.canConvertToLong() || v.longValue() < min || v.longValue() > max) {
            throw error(key, v, "is not between " + min + " and " + max);
        }
        return v.longValue();
    }

    private double number(String key, JsonNode v) {
        if (!v.isNumber()) {
            throw error(key, v, "is not a number");
        }
        return v.doubleValue();
    }

    private String text(String key, JsonNode v) {
        if (!v.isTextual()) {
            throw error(key, v, "is not a text");
        }
        return v.textValue();
    }

    private <E extends Enum<E>> E constant(String key, Class<E> type) {
        String text = get(key, "");
        for (E e : type.getEnumConstants()) {
            if (e.name().equals(text.toUpperCase(Locale.ROOT))) {
                return e;
            }
        }
        throw unsupported(
                key,
                Arrays.stream(type.getEnumConstants())
                        .map(e -> e.name().toLowerCase(Locale.ROOT))
                        .collect(Collectors.joining(", ")));
    }

    private UserError error(String key, JsonNode v, String reason) {
        return new UserError(file + ": " + path + key + " " + v + " " + reason);
    }
}
