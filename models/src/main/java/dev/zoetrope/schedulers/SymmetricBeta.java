package dev.zoetrope.schedulers;

/** The Beta(a, a) distribution on 0..1. */
final class SymmetricBeta {
    private SymmetricBeta() {}

    /** Where the distribution function has come to p. */
    static double quantile(double a, double p) {
        if (p <= 0 || p >= 1) {
            return p <= 0 ? 0 : 1;
        }
        if (p > 0.5) {
            return 1 - quantile(a, 1 - p);
        }
        double half = 2 * unnormalised(a, 0.5); // the function is 1/2 in the middle
        double low = 0;
        double high = 0.5;
        while (high - low > Math.ulp(high)) {
            double x = (low + high) / 2;
            if (x == low || x == high) {
                break;
            }
            if (unnormalised(a, x) / half < p) {
                low = x;
            } else {
                high = x;
            }
        }
        return high;
    }

    /** The incomplete beta function up to x <= 1/2, times a constant: x^a (1 - x)^a / K, K its continued fraction. */
    private static double unnormalised(double a, double x) {
        double fraction = 0;
        for (int k = 60; k > 0; k--) { // from the inside; far more terms than double precision needs
            int m = k / 2;
            double d = k % 2 == 0
                    ? m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                    : -(a + m) * (2 * a + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            fraction = d / (1 + fraction);
        }
        return Math.pow(x * (1 - x), a) / (1 + fraction);
    }
}
