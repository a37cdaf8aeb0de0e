package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Safetensors;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A clip or a sound as tokens, in pieces of limited length, and what else is needed to make it of them again. On disk it is
 * a safetensors file.
 *
 * @param tokenizer which made them, told by the entries of its table
 * @param pieces {@code codes.0}, {@code codes.1} ... INT64: {@code [t, h, w]} of a clip, {@code [codebook, frame]} of a
 *     sound; owned by whoever made them
 * @param facts sizes and rates
 */
public record Tokens(String tokenizer, Map<String, Tensor> pieces, Map<String, String> facts) {
    private static final String CODES = "codes.";
    private static final String TOKENIZER = "zoetrope.tokenizer";
    private static final int SHOWN = 12; // hexadecimal digits

    public Tokens {
        pieces = Map.copyOf(pieces);
        facts = Map.copyOf(facts);
    }

    /** Tensors are owned by the innermost scope. */
    public static Tokens read(Path file) {
        Map<String, String> facts = new LinkedHashMap<>(Safetensors.metadata(file));
        String tokenizer = facts.remove(TOKENIZER);
        if (tokenizer == null) {
            throw new UserError(file + ": holds no tokens of zoetrope tokenize");
        }
        Map<String, Tensor> pieces = new LinkedHashMap<>();
        Safetensors.read(file).forEach((name, t) -> pieces.put(name, t.dtype().isFloating() ? t : t.to(DType.INT64)));
        return new Tokens(tokenizer, pieces, facts);
    }

    /** The file appears complete or not at all. */
    public void write(Path file) {
        Map<String, String> metadata = new LinkedHashMap<>(facts);
        metadata.put(TOKENIZER, tokenizer);
        try (Scope s = Scope.open()) {
            Map<String, Tensor> stored = new LinkedHashMap<>();
            pieces.forEach((name, t) -> stored.put(name, t.dtype().isFloating() ? t : t.to(DType.INT32)));
            Safetensors.write(file, stored, metadata);
        }
    }

    /** How many tokens there are. */
    public long count() {
        return pieces.entrySet().stream()
                .filter(e -> e.getKey().startsWith(CODES))
                .mapToLong(e -> e.getValue().numel())
                .sum();
    }

    /** How many pieces there are. */
    public int length() {
        return (int) pieces.keySet().stream().filter(k -> k.startsWith(CODES)).count();
    }

    static String name(int piece) {
        return CODES + piece;
    }

    Tensor piece(int number) {
        return required(pieces, name(number));
    }

    int whole(String fact) {
        try {
            return Integer.parseInt(required(facts, fact));
        } catch (NumberFormatException e) {
            throw new UserError("tokens: " + fact + " '" + facts.get(fact) + "' is not a whole number", e);
        }
    }

    double number(String fact) {
        try {
            return Double.parseDouble(required(facts, fact));
        } catch (NumberFormatException e) {
            throw new UserError("tokens: " + fact + " '" + facts.get(fact) + "' is not a number", e);
        }
    }

    private static <T> T required(Map<String, T> all, String name) {
        T r = all.get(name);
        if (r == null) {
            throw new UserError("tokens: '" + name + "' is missing; present: " + all.keySet());
        }
        return r;
    }

    /** Refuses the tokens of another tokenizer. */
    void check(String expected) {
        if (!tokenizer.equals(expected)) {
            throw new UserError("the tokens were made by the tokenizer " + tokenizer + ", but the model given is "
                    + expected + "; give the model that made them with --model");
        }
    }

    /** The name of a tokenizer: its kind, and a digest of its table, so that two of a kind are told apart. */
    static String identity(String kind, Weights weights, String table) {
        Tensor values = weights.all().entrySet().stream()
                .filter(e -> e.getKey().endsWith(table))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(kind + " has no " + table));
        try (Scope s = Scope.open()) {
            byte[] digest = MessageDigest.getInstance("SHA-256")
                    .digest(values.to(DType.FLOAT32).contiguous().toBytes());
            return kind + "-" + HexFormat.of().formatHex(digest).substring(0, SHOWN);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
