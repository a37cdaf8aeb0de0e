package dev.zoetrope.checkpoint;

import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.RandomSource;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * While open, models that this thread loads hold the weights of their linear layers and convolutions in bfloat16, and
 * multiply in it; norms, attention and what flows between layers stay float32. On processors with bfloat16 instructions
 * that is two to three times as fast and takes half the memory, and answers move by less than a percent.
 *
 * <pre>{@code
 * try (Fast fast = Fast.on()) {
 *     vit = Vit.load(folder);
 * }
 * }</pre>
 *
 * Not every processor gains: the first use on a machine times one product each way, and where bfloat16 is not clearly
 * faster models stay exact. {@link #chosen} says which it was.
 */
public final class Fast implements AutoCloseable {
    /** bfloat16 is worth its rounding from this gain on. */
    private static final double GAIN = 1.25;

    private static final ThreadLocal<@Nullable Fast> CURRENT = new ThreadLocal<>();

    private final @Nullable Fast outer;
    private final @Nullable DType type;

    private Fast(@Nullable DType type) {
        this.type = type;
        outer = CURRENT.get();
        CURRENT.set(this);
    }

    /** bfloat16 products for the models loaded until this is closed, if this machine gains from them. */
    public static Fast on() {
        return new Fast(Probe.GAINS ? DType.BFLOAT16 : null);
    }

    /** Products in this type, whatever the machine gains. */
    static Fast in(DType type) {
        return new Fast(type);
    }

    /** Fast or exact, by an option of the user. */
    public static Fast onIf(boolean wanted) {
        return wanted ? on() : new Fast(null);
    }

    /** The type of products, {@code "bfloat16"} or {@code "float32"}, as results state it. */
    public String chosen() {
        return type == null ? "float32" : "bfloat16";
    }

    /** The type in which weights of products are loaded now; null for the type of all others. */
    static @Nullable DType type() {
        Fast f = CURRENT.get();
        return f == null ? null : f.type;
    }

    @Override
    public void close() {
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
    }

    /** Times a product of a usual size in both types, once a process: about a tenth of a second. */
    private static final class Probe {
        static final boolean GAINS = gains();

        private static boolean gains() {
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open();
                    RandomSource random = RandomSource.of(0)) {
                Tensor x = random.normal(256, 768);
                Tensor exact = random.normal(3072, 768);
                Tensor narrow = exact.to(DType.BFLOAT16);
                return seconds(x, exact) > GAIN * seconds(x, narrow);
            }
        }

        private static double seconds(Tensor x, Tensor weight) {
            double best = Double.POSITIVE_INFINITY;
            for (int i = 0; i < 5; i++) {
                try (Scope s = Scope.open()) {
                    long start = System.nanoTime();
                    Functional.linear(x, weight, null);
                    best = Math.min(best, (System.nanoTime() - start) / 1e9);
                }
            }
            return best;
        }
    }
}
