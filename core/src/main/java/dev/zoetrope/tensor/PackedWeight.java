package dev.zoetrope.tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The matrix of a linear layer in 8 or 4 bits a number: a token's step through a large model takes as long as reading its
 * weights, so fewer bytes are faster. Activations are bfloat16, the only type for which the engine's kernels are fast.
 *
 * <p>Axes: M rows of activations, N outputs, K inputs.
 */
public final class PackedWeight implements AutoCloseable {
    /** How a matrix is packed. */
    public enum Kind {
        /** A scale for each output. */
        INT8,
        /** A scale and an offset for each 32 inputs of an output. */
        INT4;

        public static Kind of(String name) {
            return switch (name.toLowerCase(Locale.ROOT)) {
                case "int8" -> INT8;
                case "int4" -> INT4;
                default -> throw new UserError("'" + name + "' is no way to pack weights; supported: int8, int4");
            };
        }
    }

    /** Inputs that share a scale and an offset in INT4. */
    public static final int GROUP = 32;

    private static final int BLOCK = 64; // outputs of a block of the packed form
    private static final long ROWS = 16L * BLOCK; // that are packed at a time
    private static final int FEW = 8; // rows, up to which the 8-bit kernel beats the unpacked product

    private final Kind kind;
    private final Tensor values;
    private final Tensor scales;

    private PackedWeight(Kind kind, Tensor values, Tensor scales) {
        this.kind = kind;
        this.values = Scope.detach(values);
        this.scales = Scope.detach(scales);
    }

    /**
     * A matrix in fewer bits as files hold it; {@link #of(Stored)} brings it into the form that this machine's kernel reads.
     *
     * @param values {@code [N, K]} INT8; or {@code [N, K / 2]} UINT8, in the low four bits the first half of the inputs and
     *     in the high four the second: q stands for (q - 8) scale + offset
     * @param scale {@code [N]}, or {@code [N, K / 32]}, BFLOAT16
     * @param offset {@code [N, K / 32]} BFLOAT16; null for INT8
     */
    public record Stored(Tensor values, Tensor scale, @Nullable Tensor offset) {}

    /** Packs {@code [N, K]}; as INT8 where the shape does not fit the groups and blocks of INT4. */
    public static PackedWeight of(Kind kind, Tensor weight) {
        try (Scope s = Scope.open()) {
            return of(stored(kind, weight));
        }
    }

    /** Rounds {@code [N, K]}; to INT8 where the shape does not fit the groups and blocks of INT4. */
    public static Stored stored(Kind kind, Tensor weight) {
        boolean four = kind == Kind.INT4 && weight.size(1) % GROUP == 0 && weight.size(0) % BLOCK == 0;
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            List<Tensor> values = new ArrayList<>();
            List<Tensor> scales = new ArrayList<>();
            List<Tensor> offsets = new ArrayList<>();
            byRows(weight, (each, rows) -> {
                Tensor w = rows.to(DType.FLOAT32);
                Stored part = four ? int4(w) : int8(w);
                values.add(each.keep(part.values));
                scales.add(each.keep(part.scale));
                if (part.offset != null) {
                    offsets.add(each.keep(part.offset));
                }
            });
            return new Stored(
                    s.keep(Tensor.cat(0, values)),
                    s.keep(Tensor.cat(0, scales)),
                    four ? s.keep(Tensor.cat(0, offsets)) : null);
        }
    }

    /** Some rows at a time: what is needed in between is several times as large as the weight. */
    private static void byRows(Tensor weight, BiConsumer<Scope, Tensor> action) {
        for (long at = 0; at < weight.size(0); at += ROWS) {
            try (Scope s = Scope.open()) {
                action.accept(s, weight.narrow(0, at, Math.min(ROWS, weight.size(0) - at)));
            }
        }
    }

    /** From a file. */
    public static PackedWeight of(Stored stored) {
        Tensor offset = stored.offset;
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            if (offset == null) {
                return new PackedWeight(
                        Kind.INT8,
                        stored.values.copy(),
                        stored.scale.to(DType.BFLOAT16).copy());
            }
            List<Tensor> packed = new ArrayList<>();
            byRows(stored.values, (each, rows) -> {
                Tensor both = rows.to(DType.INT32); // [rows, K / 2]
                Tensor low = both.remainder(16L);
                Tensor high = both.sub(low).to(DType.FLOAT32).div(16.0).to(DType.INT32);
                packed.add(
                        each.keep(Boxed.call("_convert_weight_to_int4pack_for_cpu", "", Tensor.cat(1, low, high), 2L)));
            });
            Tensor scales = Tensor.stack(2, List.of(stored.scale, offset)).transpose(0, 1); // [K / 32, N, 2]
            return new PackedWeight(
                    Kind.INT4, Tensor.cat(0, packed), scales.to(DType.BFLOAT16).contiguous());
        }
    }

    private static Stored int8(Tensor w) {
        Tensor scale = w.abs()
                .amax(true, 1)
                .clamp(Float.MIN_NORMAL, Double.POSITIVE_INFINITY)
                .div(127.0); // [N, 1]
        Tensor rounded = scale.to(DType.BFLOAT16).to(DType.FLOAT32); // as the kernel multiplies
        Tensor values = w.div(rounded).round().clamp(-127, 127).to(DType.INT8);
        return new Stored(values, scale.to(DType.BFLOAT16).reshape(-1), null);
    }

    private static Stored int4(Tensor w) {
        Tensor groups = w.unflatten(1, -1, GROUP); // [N, K / 32, 32]
        Tensor low = groups.amin(true, 2);
        Tensor scale = groups.amax(true, 2).sub(low).div(15.0).clamp(Float.MIN_NORMAL, Double.POSITIVE_INFINITY);
        scale = scale.to(DType.BFLOAT16).to(DType.FLOAT32);
        Tensor offset = low.add(scale.mul(8.0)).to(DType.BFLOAT16).to(DType.FLOAT32);
        Tensor q = groups.sub(offset).div(scale).add(8.0).round().clamp(0, 15).flatten(1); // [N, K]
        long half = q.size(1) / 2;
        Tensor values = q.narrow(1, 0, half).add(q.narrow(1, half, half).mul(16.0));
        return new Stored(
                values.to(DType.UINT8),
                scale.squeeze(2).to(DType.BFLOAT16),
                offset.squeeze(2).to(DType.BFLOAT16));
    }

    /** The product with the weight. {@code x [..., K] -> [..., N]}, in x's type. */
    public Tensor linear(Tensor x, @Nullable Tensor bias) {
        try (Scope s = Scope.open()) {
            long[] shape = x.shape();
            long in = shape[shape.length - 1];
            Tensor rows = x.to(DType.BFLOAT16).reshape(-1, in).contiguous(); // [M, K]
            Tensor y =
                    switch (kind) {
                        case INT4 -> Boxed.call("_weight_int4pack_mm_for_cpu", "", rows, values, (long) GROUP, scales);
                        case INT8 ->
                            rows.size(0) <= FEW && kernelFits(in)
                                    ? Boxed.call("_weight_int8pack_mm", "", rows, values, scales)
                                    : Functional.linear(rows, unpacked(), null);
                    };
            shape[shape.length - 1] = y.size(1);
            y = y.reshape(shape).to(x.dtype());
            return s.keep(bias == null ? y : y.add(bias));
        }
    }

    /** The 8-bit kernel reads beyond the end of matrices of other shapes. */
    private boolean kernelFits(long in) {
        return in % 32 == 0 && values.size(0) % 4 == 0;
    }

    private Tensor unpacked() {
        return values.to(DType.BFLOAT16).mul(scales.unsqueeze(1));
    }

    @Override
    public void close() {
        values.close();
        scales.close();
    }
}
