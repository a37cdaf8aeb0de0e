package dev.zoetrope.training.evaluation;

import java.util.Collection;
import java.util.Locale;

/**
 * A mean, with the half-width of the interval that holds the true mean in 95 of 100 cases (normal distribution).
 *
 * @param value of the mean; not a number if there was nothing
 * @param half of the interval; not a number for fewer than two values
 */
public record Mean(double value, double half) {
    private static final double Z = 1.96;

    public static Mean of(Collection<Double> values) {
        int n = values.size();
        double mean = values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
        double squares =
                values.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum();
        return new Mean(mean, n < 2 ? Double.NaN : Z * Math.sqrt(squares / (n - 1) / n));
    }

    @Override
    public String toString() {
        return Double.isNaN(value)
                ? "-"
                : Double.isNaN(half)
                        ? String.format(Locale.ROOT, "%.4g", value)
                        : String.format(Locale.ROOT, "%.4g +- %.2g", value, half);
    }
}
