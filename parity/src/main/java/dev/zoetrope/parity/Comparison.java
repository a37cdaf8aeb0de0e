package dev.zoetrope.parity;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Whether an answer is the expected one. */
final class Comparison {
    /** Below this largest magnitude errors are absolute. */
    private static final double SMALL = 1e-3;

    private Comparison() {}

    static Line of(String name, Case.Output output, @Nullable Tensor expected, @Nullable Tensor answer) {
        if (expected == null) {
            return Line.fail(name, output.name(), "outputs.safetensors lacks it");
        }
        if (answer == null) {
            return Line.fail(name, output.name(), "not answered");
        }
        if (!Arrays.equals(expected.shape(), answer.shape())) {
            return Line.fail(
                    name,
                    output.name(),
                    "shape " + Arrays.toString(answer.shape()) + ", expected " + Arrays.toString(expected.shape()));
        }
        boolean exact = !output.dtype().startsWith("float");
        if (exact && answer.dtype().isFloating()) {
            return Line.fail(name, output.name(), "is " + answer.dtype() + ", expected " + output.dtype());
        }
        double error = exact ? mostDifferent(expected, answer) : error(expected, answer);
        boolean passes = exact ? error == 0 : error <= output.tolerance(); // NaN passes neither
        return new Line(
                passes,
                name,
                output.name(),
                String.format(Locale.ROOT, exact ? "%.0f %.0f" : "%.2e %.2e", error, output.tolerance()));
    }

    private static double mostDifferent(Tensor expected, Tensor answer) {
        long[] a = expected.toLongs();
        long[] b = answer.toLongs();
        double most = 0;
        for (int i = 0; i < a.length; i++) {
            most = Math.max(most, Math.abs((double) a[i] - b[i]));
        }
        return most;
    }

    /** max |a - b| / max |b|; NaN where either is not finite. */
    static double error(Tensor expected, Tensor answer) {
        if (expected.numel() == 0) {
            return 0;
        }
        try (Scope s = Scope.open()) {
            Tensor b = expected.to(DType.FLOAT64);
            Tensor a = answer.detach().to(DType.FLOAT64);
            if (!a.isfinite().all() || !b.isfinite().all()) {
                return Double.NaN;
            }
            double largest = b.abs().max().item();
            double difference = a.sub(b).abs().max().item();
            return largest < SMALL ? difference : difference / largest;
        }
    }
}
