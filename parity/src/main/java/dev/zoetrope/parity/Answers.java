package dev.zoetrope.parity;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** What an entry answers: a tensor for each output, and how it fared with texts that a case gives in its parameters. */
final class Answers implements AutoCloseable {
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final List<Tensor> seen = new ArrayList<>();
    private final Map<String, String> differences = new LinkedHashMap<>();

    void put(String output, Tensor answer) {
        tensors.put(output, answer);
    }

    /** For networks that hand over what their parts make: keeps it under the outputs' names. */
    BiConsumer<String, Tensor> watch(Map<String, String> outputByPart) {
        return (part, made) -> {
            String output = outputByPart.get(part);
            if (output != null) {
                Tensor kept = Scope.detach(made.alias()); // the network frees its own
                seen.add(kept);
                put(output, kept);
            }
        };
    }

    /** Numbers of a list, {@code [N]}. */
    void put(String output, double... answer) {
        float[] values = new float[answer.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) answer[i];
        }
        put(output, Tensor.of(values, values.length));
    }

    /** Rows of tokens, filled up at the end to the longest. */
    void put(String output, Collection<long[]> rows, long fill) {
        put(output, Case.rows(rows, fill));
    }

    /** Something that is no tensor: must be equal to what the case's parameters say. */
    void equal(String what, Object expected, Object answer) {
        if (!Objects.deepEquals(expected, answer)) {
            differences.put(what, "expected " + show(expected) + ", answered " + show(answer));
        }
    }

    /** A number that the case's parameters say, relative to its own size. */
    void near(String what, double expected, double answer, double tolerance) {
        if (!(Math.abs(answer - expected) <= tolerance * Math.max(1e-3, Math.abs(expected)))) {
            differences.put(what, "expected " + expected + ", answered " + answer);
        }
    }

    @Nullable
    Tensor get(String output) {
        return tensors.get(output);
    }

    Map<String, String> differences() {
        return differences;
    }

    @Override
    public void close() {
        seen.forEach(Tensor::close);
    }

    private static String show(Object o) {
        String text =
                o instanceof long[] l ? Arrays.toString(l) : o instanceof List<?> ? o.toString() : "\"" + o + "\"";
        return text.length() <= 200 ? text : text.substring(0, 200) + "...";
    }
}
