package dev.zoetrope.training.evaluation;

import java.util.Locale;

/** How many of some were right, with the interval that holds the true share in 95 of 100 cases (Wilson). */
public record Share(int right, int of) {
    private static final double Z = 1.96;

    @Override
    public String toString() {
        double p = (double) right / of;
        double centre = (p + Z * Z / (2 * of)) / (1 + Z * Z / of);
        double half = Z * Math.sqrt(p * (1 - p) / of + Z * Z / (4. * of * of)) / (1 + Z * Z / of);
        return String.format(Locale.ROOT, "%.2f (%.2f-%.2f)", p, centre - half, centre + half);
    }
}
