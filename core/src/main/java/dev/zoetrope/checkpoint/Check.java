package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.UserError;
import java.util.Arrays;
import java.util.List;

/** Checks of configuration values, whose messages have both numbers. */
public final class Check {
    private Check() {}

    /** {@code hidden_size 770 is not divisible by num_attention_heads 12}. */
    public static void divides(long divisor, long number, String divisorName, String numberName) {
        positive(divisor, divisorName);
        if (number % divisor != 0) {
            throw new UserError(numberName + " " + number + " is not divisible by " + divisorName + " " + divisor);
        }
    }

    public static void positive(long number, String name) {
        if (number <= 0) {
            throw new UserError(name + " " + number + " is not positive");
        }
    }

    public static void positive(double number, String name) {
        if (!(number > 0) || Double.isInfinite(number)) {
            throw new UserError(name + " " + number + " is not a positive number");
        }
    }

    /** Both ends included. */
    public static void between(double low, double high, double number, String name) {
        if (!(number >= low && number <= high)) {
            throw new UserError(name + " " + number + " is not between " + low + " and " + high);
        }
    }

    public static void equal(long a, long b, String aName, String bName) {
        if (a != b) {
            throw new UserError(aName + " " + a + " differs from " + bName + " " + b);
        }
    }

    public static void atMost(long limit, long number, String limitName, String numberName) {
        if (number > limit) {
            throw new UserError(numberName + " " + number + " is larger than " + limitName + " " + limit);
        }
    }

    @SafeVarargs
    public static <T> void oneOf(T value, String name, T... supported) {
        if (!List.of(supported).contains(value)) {
            throw new UserError(name + " " + value + " is not supported; supported: " + Arrays.toString(supported));
        }
    }

    /** A tensor's shape, -1 for an axis of any length: for what a user hands to a model. */
    public static void shape(long[] found, String name, long... expected) {
        boolean fits = found.length == expected.length;
        for (int i = 0; fits && i < found.length; i++) {
            fits = expected[i] == -1 || expected[i] == found[i];
        }
        if (!fits) {
            throw new UserError(name + " has shape " + Arrays.toString(found) + ", expected "
                    + Arrays.toString(expected).replace("-1", "any"));
        }
    }
}
