package dev.zoetrope.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** An operator refused its arguments. The message names the operator and the shapes that it was given. */
public final class TensorException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    TensorException(String message, Throwable cause) {
        super(message, cause);
    }

    static TensorException of(String operator, RuntimeException cause, Tensor... inputs) {
        String shapes = Stream.of(inputs).map(Tensor::describe).collect(Collectors.joining(", "));
        return new TensorException(operator + "(" + shapes + "): " + reason(cause), cause);
    }

    /** The engine appends a C++ stack to its messages; only what stands before it says anything to a reader. */
    private static String reason(RuntimeException e) {
        String text = String.valueOf(e.getMessage());
        int stack = text.indexOf("\nException raised from");
        return (stack < 0 ? text : text.substring(0, stack)).strip();
    }

    static String shape(long[] shape) {
        return Arrays.toString(shape);
    }
}
