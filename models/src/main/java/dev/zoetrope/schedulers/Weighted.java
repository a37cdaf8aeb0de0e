package dev.zoetrope.schedulers;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** Sums of tensors with factors, of which every step is made. A term whose factor is 0 does not count, even if infinite. */
final class Weighted {
    private Weighted() {}

    static Tensor sum(double a, Tensor x, double b, Tensor y) {
        return sum(new double[] {a, b}, x, y);
    }

    static Tensor sum(double a, Tensor x, double b, Tensor y, double c, Tensor z) {
        return sum(new double[] {a, b, c}, x, y, z);
    }

    static Tensor sum(double[] factors, Tensor... terms) {
        try (Scope s = Scope.open()) {
            Tensor r = null;
            for (int i = 0; i < terms.length; i++) {
                if (factors[i] != 0) {
                    Tensor term = factors[i] == 1 ? terms[i] : terms[i].mul(factors[i]);
                    r = r == null ? term : r.add(term);
                }
            }
            return s.keep(r == null ? terms[0].mul(0.0) : r.alias());
        }
    }
}
