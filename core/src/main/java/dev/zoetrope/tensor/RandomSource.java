package dev.zoetrope.tensor;

import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/**
 * Random numbers, bit-equal to PyTorch's CPU generator of the same seed. Draws are always made on the CPU, so that a
 * seed means the same everywhere. Not thread-safe: one source a run.
 */
public final class RandomSource implements AutoCloseable {
    private final Generator generator;
    private final GeneratorOptional optional;

    private RandomSource(Generator generator) {
        this.generator = generator;
        this.optional = new GeneratorOptional(generator);
    }

    public static RandomSource of(long seed) {
        Engine.load();
        return new RandomSource(torch.make_generator_cpu(seed));
    }

    /** Standard normal numbers, float32. */
    public Tensor normal(long... shape) {
        return draw("randn", DType.FLOAT32, o -> torch.randn(shape, optional, o));
    }

    /** Standard normal numbers of a floating type: drawn in that type, as PyTorch does. */
    public Tensor normal(DType dtype, long... shape) {
        return draw("randn", dtype, o -> torch.randn(shape, optional, o));
    }

    /** Uniform in [0, 1), float32. */
    public Tensor uniform(long... shape) {
        return draw("rand", DType.FLOAT32, o -> torch.rand(shape, optional, o));
    }

    /** Uniform in [low, high), float32, without a copy: the numbers of {@code torch.nn.init.uniform_}. */
    public Tensor uniformBetween(double low, double high, long... shape) {
        return draw("uniform", DType.FLOAT32, o -> torch.empty(shape, o, new MemoryFormatOptional())
                .uniform_(low, high, optional));
    }

    /** Integers in [low, high), int64. */
    public Tensor integers(long low, long high, long... shape) {
        return draw("randint", DType.INT64, o -> torch.randint(low, high, shape, optional, o));
    }

    /** A permutation of 0..n-1, int64. */
    public Tensor permutation(long n) {
        return draw("randperm", DType.INT64, o -> torch.randperm(n, optional, o));
    }

    /** Indices drawn by weight. {@code weights [N]} or {@code [B, N]} -> {@code [samples]} or {@code [B, samples]}. */
    public Tensor multinomial(Tensor weights, long samples, boolean replacement) {
        return Tensor.make(
                "multinomial", () -> torch.multinomial(weights.engine(), samples, replacement, optional), weights);
    }

    /** Whether an event of the given probability happens. */
    public boolean chance(double probability) {
        return nextDouble() < probability;
    }

    /** One number, uniform in [0, 1). */
    public double nextDouble() {
        try (Tensor t = Scope.detach(draw("rand", DType.FLOAT64, o -> torch.rand(new long[] {1}, optional, o)))) {
            return t.item();
        }
    }

    /** The generator's whole state as a byte tensor, for a checkpoint. */
    public Tensor state() {
        return Tensor.make("get_state", generator::get_state);
    }

    public void restore(Tensor state) {
        generator.set_state(state.engine());
    }

    @Override
    public void close() {
        optional.close();
        generator.close();
    }

    private interface Draw {
        org.bytedeco.pytorch.Tensor from(TensorOptions options);
    }

    private Tensor draw(String operator, DType dtype, Draw draw) {
        try (TensorOptions o = new TensorOptions(dtype.engine())) {
            return Tensor.make(operator, () -> draw.from(o));
        }
    }
}
