package dev.zoetrope.models.quantize;

import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** The nearest entry of a table. */
public final class Codebook {
    private static final double LEAST_LENGTH = 1e-12;

    private Codebook() {}

    /** Vectors {@code [..., E]} brought to length 1; zero stays zero. */
    public static Tensor unit(Tensor vectors) {
        try (Scope s = Scope.open()) {
            return s.keep(vectors.div(vectors.norm(true, -1).clamp(LEAST_LENGTH, Float.MAX_VALUE)));
        }
    }

    /**
     * The entry with the smallest distance by Euclid to each vector; of two equally near the first.
     *
     * @param vectors {@code [..., E]}
     * @param table {@code [K, E]}
     * @return {@code [...]} INT64
     */
    public static Tensor nearest(Tensor vectors, Tensor table) {
        try (Scope s = Scope.open()) {
            Tensor distance = vectors.square()
                    .sum(true, -1)
                    .add(table.square().sum(1))
                    .sub(vectors.matmul(table.transpose(0, 1)).mul(2.0)); // [..., K]
            return s.keep(distance.argmin(-1));
        }
    }
}
