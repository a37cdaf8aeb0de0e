package dev.zoetrope.tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongArrayRefOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * An n-dimensional array in libtorch's memory. Every operator returns a new tensor that belongs to the innermost open
 * {@link Scope} of the thread; views share memory with what they show. Negative axes count from the end.
 *
 * <p>A tensor may be read by any number of threads at once. It is moved and closed only by the thread whose scope owns
 * it; one that no scope owns (a weight, or one handed over with {@link Scope#detach}) by whoever holds it. Use after
 * closing throws {@link IllegalStateException} with the tensor's name and shape.
 *
 * <p>Wrong shapes and types throw {@link TensorException} with the operator and all shapes.
 */
public final class Tensor implements AutoCloseable {
    @Nullable
    Scope owner;

    int slot;

    private org.bytedeco.pytorch.@Nullable Tensor handle;
    private String name;
    private long @Nullable [] shapeWhenClosed;
    // Only for parameters that several threads train, see GradientCopies.
    private @Nullable GradientCopies copies;
    private Tensor[] standIns = NONE;

    private static final Tensor[] NONE = {};

    private Tensor(org.bytedeco.pytorch.Tensor handle, String name) {
        this.handle = handle;
        this.name = name;
    }

    // ---- making ----

    public static Tensor of(float[] values, long... shape) {
        Tensor t = sized(DType.FLOAT32, values.length, shape);
        if (values.length > 0) { // an empty tensor has no address
            t.engine().data_ptr_float().put(values, 0, values.length);
        }
        return t;
    }

    public static Tensor of(double[] values, long... shape) {
        Tensor t = sized(DType.FLOAT64, values.length, shape);
        if (values.length > 0) { // an empty tensor has no address
            t.engine().data_ptr_double().put(values, 0, values.length);
        }
        return t;
    }

    public static Tensor of(long[] values, long... shape) {
        Tensor t = sized(DType.INT64, values.length, shape);
        if (values.length > 0) { // an empty tensor has no address
            t.engine().data_ptr_long().put(values, 0, values.length);
        }
        return t;
    }

    /** Bytes as UINT8. */
    public static Tensor of(byte[] values, long... shape) {
        Tensor t = sized(DType.UINT8, values.length, shape);
        if (values.length > 0) { // an empty tensor has no address
            t.engine().data_ptr_byte().put(values, 0, values.length);
        }
        return t;
    }

    /** Booleans as BOOL. */
    public static Tensor of(boolean[] values, long... shape) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (values[i] ? 1 : 0);
        }
        Tensor t = sized(DType.BOOL, values.length, shape);
        if (bytes.length > 0) { // an empty tensor has no address
            new BytePointer(t.engine().data_ptr()).put(bytes, 0, bytes.length);
        }
        return t;
    }

    /** A number as a float32 tensor without axes. */
    public static Tensor scalarOf(double value) {
        return of(new float[] {(float) value});
    }

    public static Tensor zeros(long... shape) {
        return zeros(DType.FLOAT32, Device.CPU, shape);
    }

    public static Tensor zeros(DType dtype, Device device, long... shape) {
        return make("zeros", dtype, device, o -> torch.zeros(shape, o));
    }

    public static Tensor ones(long... shape) {
        return full(1, shape);
    }

    public static Tensor full(double value, long... shape) {
        return full(value, DType.FLOAT32, Device.CPU, shape);
    }

    public static Tensor full(double value, DType dtype, Device device, long... shape) {
        try (Scalar s = scalar(value)) {
            return make("full", dtype, device, o -> torch.full(shape, s, o));
        }
    }

    /** 0, 1, .. end - 1 as INT64. */
    public static Tensor arange(long end) {
        return arange(0, end, 1);
    }

    /** start, start + step, .. below end, as INT64. */
    public static Tensor arange(long start, long end, long step) {
        try (Scalar a = scalar(start);
                Scalar b = scalar(end);
                Scalar c = scalar(step)) {
            return make("arange", DType.INT64, Device.CPU, o -> torch.arange(a, b, c, o));
        }
    }

    /** {@code steps} numbers from start to end, both included, float32. */
    public static Tensor linspace(double start, double end, long steps) {
        return linspace(start, end, steps, DType.FLOAT32);
    }

    public static Tensor linspace(double start, double end, long steps, DType dtype) {
        try (Scalar a = scalar(start);
                Scalar b = scalar(end)) {
            return make("linspace", dtype, Device.CPU, o -> torch.linspace(a, b, steps, o));
        }
    }

    /** The identity matrix, float32. */
    public static Tensor eye(long n) {
        return make("eye", DType.FLOAT32, Device.CPU, o -> torch.eye(n, o));
    }

    /**
     * The bytes of a file as UINT8, mapped into memory and not read until used; files over 2 GiB too. Writes to the
     * tensor never reach the file. The map lives as long as any view of it.
     */
    public static Tensor map(java.nio.file.Path file, long bytes) {
        Engine.load();
        try (BoolOptional shared = new BoolOptional(false);
                LongOptional size = new LongOptional(bytes)) {
            return make("map", DType.UINT8, Device.CPU, o -> torch.from_file(file.toString(), shared, size, o));
        }
    }

    /** Joins along an existing axis. */
    public static Tensor cat(int axis, Tensor... parts) {
        return cat(axis, List.of(parts));
    }

    public static Tensor cat(int axis, List<Tensor> parts) {
        try (TensorVector v = vector(parts)) {
            return make("cat", () -> torch.cat(v, axis), parts.toArray(Tensor[]::new));
        }
    }

    /** Joins along a new axis. */
    public static Tensor stack(int axis, Tensor... parts) {
        return stack(axis, List.of(parts));
    }

    public static Tensor stack(int axis, List<Tensor> parts) {
        try (TensorVector v = vector(parts)) {
            return make("stack", () -> torch.stack(v, axis), parts.toArray(Tensor[]::new));
        }
    }

    /** Einstein's sum convention, {@code "bqd,bkd->bqk"}. */
    public static Tensor einsum(String equation, Tensor... parts) {
        try (TensorVector v = vector(List.of(parts))) {
            return make("einsum", () -> torch.einsum(equation, v), parts);
        }
    }

    /** {@code condition ? a : b}, element by element. */
    public static Tensor where(Tensor condition, Tensor a, Tensor b) {
        return make("where", () -> torch.where(condition.engine(), a.engine(), b.engine()), condition, a, b);
    }

    /** A complex tensor from magnitude and angle in radians. */
    public static Tensor polar(Tensor magnitude, Tensor angle) {
        return make("polar", () -> torch.polar(magnitude.engine(), angle.engine()), magnitude, angle);
    }

    // ---- asking ----

    /** Number of axes. */
    public int dim() {
        return (int) engine().dim();
    }

    /** Length of an axis. */
    public long size(int axis) {
        org.bytedeco.pytorch.Tensor t = engine();
        int n = (int) t.dim();
        if (axis < -n || axis >= n) {
            throw new IndexOutOfBoundsException("axis " + axis + " of " + describe() + " with " + n + " axes");
        }
        return t.size(axis);
    }

    public long[] shape() {
        return shapeOf(engine());
    }

    public long numel() {
        return engine().numel();
    }

    public DType dtype() {
        return DType.of(engine().scalar_type());
    }

    public Device device() {
        try (org.bytedeco.pytorch.Device d = engine().device()) {
            return d.is_cuda() ? Device.cuda(d.index()) : Device.CPU;
        }
    }

    public boolean isContiguous() {
        return engine().is_contiguous();
    }

    public boolean isClosed() {
        return handle == null;
    }

    /** The name that messages call this tensor by: a weight's path, or the operator that made it. */
    public String name() {
        return name;
    }

    public Tensor named(String newName) {
        name = newName;
        return this;
    }

    /** The only element as a number. */
    public double item() {
        org.bytedeco.pytorch.Tensor t = engine();
        if (t.numel() != 1) {
            throw new IllegalArgumentException("item() needs one element, " + describe() + " has " + t.numel());
        }
        return t.item_double();
    }

    /** All elements as float, row by row. */
    public float[] toFloats() {
        try (Tensor t =
                Scope.detach(to(DType.FLOAT32).to(Device.CPU).contiguous().alias())) {
            float[] r = new float[arrayLength()];
            if (r.length > 0) {
                t.engine().data_ptr_float().get(r, 0, r.length);
            }
            return r;
        }
    }

    /** All elements as double, row by row. */
    public double[] toDoubles() {
        try (Tensor t =
                Scope.detach(to(DType.FLOAT64).to(Device.CPU).contiguous().alias())) {
            double[] r = new double[arrayLength()];
            if (r.length > 0) {
                t.engine().data_ptr_double().get(r, 0, r.length);
            }
            return r;
        }
    }

    /** All elements as long, row by row. */
    public long[] toLongs() {
        try (Tensor t = Scope.detach(to(DType.INT64).to(Device.CPU).contiguous().alias())) {
            long[] r = new long[arrayLength()];
            if (r.length > 0) {
                t.engine().data_ptr_long().get(r, 0, r.length);
            }
            return r;
        }
    }

    /** The raw little-endian bytes of all elements, row by row. */
    public byte[] toBytes() {
        try (Tensor t = Scope.detach(to(Device.CPU).contiguous().alias())) {
            long bytes = t.engine().nbytes();
            if (bytes > Integer.MAX_VALUE - 8) {
                throw new IllegalArgumentException(describe() + " is larger than one Java array");
            }
            byte[] r = new byte[(int) bytes];
            if (r.length > 0) {
                new BytePointer(t.engine().data_ptr()).get(r, 0, r.length);
            }
            return r;
        }
    }

    // ---- arithmetic, element by element, with broadcasting ----

    /** Sum. */
    public Tensor add(Tensor other) {
        return make("add", () -> torch.add(engine(), other.engine()), this, other);
    }

    public Tensor add(double value) {
        try (Scalar s = scalar(value)) {
            return make("add", () -> torch.add(engine(), s), this);
        }
    }

    public Tensor add(long value) {
        try (Scalar s = scalar(value)) {
            return make("add", () -> torch.add(engine(), s), this);
        }
    }

    /** Difference. */
    public Tensor sub(Tensor other) {
        return make("sub", () -> torch.sub(engine(), other.engine()), this, other);
    }

    public Tensor sub(double value) {
        try (Scalar s = scalar(value)) {
            return make("sub", () -> torch.sub(engine(), s), this);
        }
    }

    public Tensor sub(long value) {
        try (Scalar s = scalar(value)) {
            return make("sub", () -> torch.sub(engine(), s), this);
        }
    }

    /** Product. */
    public Tensor mul(Tensor other) {
        return make("mul", () -> torch.mul(engine(), other.engine()), this, other);
    }

    public Tensor mul(double value) {
        try (Scalar s = scalar(value)) {
            return make("mul", () -> torch.mul(engine(), s), this);
        }
    }

    public Tensor mul(long value) {
        try (Scalar s = scalar(value)) {
            return make("mul", () -> torch.mul(engine(), s), this);
        }
    }

    /** Quotient. */
    public Tensor div(Tensor other) {
        return make("div", () -> torch.div(engine(), other.engine()), this, other);
    }

    public Tensor div(double value) {
        try (Scalar s = scalar(value)) {
            return make("div", () -> torch.div(engine(), s), this);
        }
    }

    public Tensor div(long value) {
        try (Scalar s = scalar(value)) {
            return make("div", () -> torch.div(engine(), s), this);
        }
    }

    /** {@code value - this}. */
    public Tensor rsub(double value) {
        try (Scalar s = scalar(value)) {
            return make("rsub", () -> torch.rsub(engine(), s), this);
        }
    }

    public Tensor pow(double value) {
        try (Scalar s = scalar(value)) {
            return make("pow", () -> torch.pow(engine(), s), this);
        }
    }

    public Tensor pow(long value) {
        try (Scalar s = scalar(value)) {
            return make("pow", () -> torch.pow(engine(), s), this);
        }
    }

    /** Power. */
    public Tensor pow(Tensor other) {
        return make("pow", () -> torch.pow(engine(), other.engine()), this, other);
    }

    /** The smaller of each pair. */
    public Tensor minimum(Tensor other) {
        return make("minimum", () -> torch.minimum(engine(), other.engine()), this, other);
    }

    /** The larger of each pair. */
    public Tensor maximum(Tensor other) {
        return make("maximum", () -> torch.maximum(engine(), other.engine()), this, other);
    }

    /** Angle of (this, other) in radians. */
    public Tensor atan2(Tensor other) {
        return make("atan2", () -> torch.atan2(engine(), other.engine()), this, other);
    }

    /** Remainder with the sign of the divisor, as Python's %. */
    public Tensor remainder(Tensor other) {
        return make("remainder", () -> torch.remainder(engine(), other.engine()), this, other);
    }

    public Tensor remainder(double value) {
        try (Scalar s = scalar(value)) {
            return make("remainder", () -> torch.remainder(engine(), s), this);
        }
    }

    public Tensor remainder(long value) {
        try (Scalar s = scalar(value)) {
            return make("remainder", () -> torch.remainder(engine(), s), this);
        }
    }

    /** Negated. */
    public Tensor neg() {
        return make("neg", () -> torch.neg(engine()), this);
    }

    /** Absolute value. */
    public Tensor abs() {
        return make("abs", () -> torch.abs(engine()), this);
    }

    /** e to the power. */
    public Tensor exp() {
        return make("exp", () -> torch.exp(engine()), this);
    }

    /** Natural logarithm. */
    public Tensor log() {
        return make("log", () -> torch.log(engine()), this);
    }

    /** log(1 + x). */
    public Tensor log1p() {
        return make("log1p", () -> torch.log1p(engine()), this);
    }

    /** Square root. */
    public Tensor sqrt() {
        return make("sqrt", () -> torch.sqrt(engine()), this);
    }

    /** 1 / square root. */
    public Tensor rsqrt() {
        return make("rsqrt", () -> torch.rsqrt(engine()), this);
    }

    /** Square. */
    public Tensor square() {
        return make("square", () -> torch.square(engine()), this);
    }

    /** 1 / x. */
    public Tensor reciprocal() {
        return make("reciprocal", () -> torch.reciprocal(engine()), this);
    }

    /** Sine. */
    public Tensor sin() {
        return make("sin", () -> torch.sin(engine()), this);
    }

    /** Cosine. */
    public Tensor cos() {
        return make("cos", () -> torch.cos(engine()), this);
    }

    /** Hyperbolic tangent. */
    public Tensor tanh() {
        return make("tanh", () -> torch.tanh(engine()), this);
    }

    /** Error function. */
    public Tensor erf() {
        return make("erf", () -> torch.erf(engine()), this);
    }

    /** 1 / (1 + e^-x). */
    public Tensor sigmoid() {
        return make("sigmoid", () -> torch.sigmoid(engine()), this);
    }

    /** log(sigmoid(x)). */
    public Tensor logSigmoid() {
        return make("log_sigmoid", () -> torch.log_sigmoid(engine()), this);
    }

    /** max(x, 0). */
    public Tensor relu() {
        return make("relu", () -> torch.relu(engine()), this);
    }

    /** x sigmoid(x). */
    public Tensor silu() {
        return make("silu", () -> torch.silu(engine()), this);
    }

    /** log(1 + e^x). */
    public Tensor softplus() {
        return make("softplus", () -> torch.softplus(engine()), this);
    }

    /** x relu6(x + 3) / 6. */
    public Tensor hardswish() {
        return make("hardswish", () -> torch.hardswish(engine()), this);
    }

    /** relu6(x + 3) / 6. */
    public Tensor hardsigmoid() {
        return make("hardsigmoid", () -> torch.hardsigmoid(engine()), this);
    }

    /** Rounded down. */
    public Tensor floor() {
        return make("floor", () -> torch.floor(engine()), this);
    }

    /** Rounded up. */
    public Tensor ceil() {
        return make("ceil", () -> torch.ceil(engine()), this);
    }

    /** Rounded to the nearest, halves to even. */
    public Tensor round() {
        return make("round", () -> torch.round(engine()), this);
    }

    /** -1, 0 or 1. */
    public Tensor sign() {
        return make("sign", () -> torch.sign(engine()), this);
    }

    /** True where neither infinite nor NaN. */
    public Tensor isfinite() {
        return make("isfinite", () -> torch.isfinite(engine()), this);
    }

    /** True where NaN. */
    public Tensor isnan() {
        return make("isnan", () -> torch.isnan(engine()), this);
    }

    // ---- comparison and logic: results are BOOL ----

    /** Equal. */
    public Tensor eq(Tensor other) {
        return make("eq", () -> torch.eq(engine(), other.engine()), this, other);
    }

    public Tensor eq(double value) {
        try (Scalar s = scalar(value)) {
            return make("eq", () -> torch.eq(engine(), s), this);
        }
    }

    public Tensor eq(long value) {
        try (Scalar s = scalar(value)) {
            return make("eq", () -> torch.eq(engine(), s), this);
        }
    }

    /** Not equal. */
    public Tensor ne(Tensor other) {
        return make("ne", () -> torch.ne(engine(), other.engine()), this, other);
    }

    public Tensor ne(double value) {
        try (Scalar s = scalar(value)) {
            return make("ne", () -> torch.ne(engine(), s), this);
        }
    }

    public Tensor ne(long value) {
        try (Scalar s = scalar(value)) {
            return make("ne", () -> torch.ne(engine(), s), this);
        }
    }

    /** Less. */
    public Tensor lt(Tensor other) {
        return make("lt", () -> torch.lt(engine(), other.engine()), this, other);
    }

    public Tensor lt(double value) {
        try (Scalar s = scalar(value)) {
            return make("lt", () -> torch.lt(engine(), s), this);
        }
    }

    public Tensor lt(long value) {
        try (Scalar s = scalar(value)) {
            return make("lt", () -> torch.lt(engine(), s), this);
        }
    }

    /** Less or equal. */
    public Tensor le(Tensor other) {
        return make("le", () -> torch.le(engine(), other.engine()), this, other);
    }

    public Tensor le(double value) {
        try (Scalar s = scalar(value)) {
            return make("le", () -> torch.le(engine(), s), this);
        }
    }

    public Tensor le(long value) {
        try (Scalar s = scalar(value)) {
            return make("le", () -> torch.le(engine(), s), this);
        }
    }

    /** Greater. */
    public Tensor gt(Tensor other) {
        return make("gt", () -> torch.gt(engine(), other.engine()), this, other);
    }

    public Tensor gt(double value) {
        try (Scalar s = scalar(value)) {
            return make("gt", () -> torch.gt(engine(), s), this);
        }
    }

    public Tensor gt(long value) {
        try (Scalar s = scalar(value)) {
            return make("gt", () -> torch.gt(engine(), s), this);
        }
    }

    /** Greater or equal. */
    public Tensor ge(Tensor other) {
        return make("ge", () -> torch.ge(engine(), other.engine()), this, other);
    }

    public Tensor ge(double value) {
        try (Scalar s = scalar(value)) {
            return make("ge", () -> torch.ge(engine(), s), this);
        }
    }

    public Tensor ge(long value) {
        try (Scalar s = scalar(value)) {
            return make("ge", () -> torch.ge(engine(), s), this);
        }
    }

    /** Both. */
    public Tensor and(Tensor other) {
        return make("logical_and", () -> torch.logical_and(engine(), other.engine()), this, other);
    }

    /** Either. */
    public Tensor or(Tensor other) {
        return make("logical_or", () -> torch.logical_or(engine(), other.engine()), this, other);
    }

    /** Neither. */
    public Tensor not() {
        return make("logical_not", () -> torch.logical_not(engine()), this);
    }
    /** Element-wise clamp; an infinite bound is no bound. */
    public Tensor clamp(double min, double max) {
        try (Scalar a = scalar(min);
                Scalar b = scalar(max);
                ScalarOptional lo = new ScalarOptional(a);
                ScalarOptional hi = new ScalarOptional(b)) {
            return make("clamp", () -> torch.clamp(engine(), lo, hi), this);
        }
    }

    /** x Phi(x), exact. */
    public Tensor gelu() {
        return make("gelu", () -> torch.gelu(engine(), "none"), this);
    }

    /** GELU by the tanh approximation. */
    public Tensor geluTanh() {
        return make("gelu", () -> torch.gelu(engine(), "tanh"), this);
    }

    /** x, or e^x - 1 below zero. */
    public Tensor elu() {
        return make("elu", () -> torch.elu(engine()), this);
    }

    public Tensor leakyRelu(double slope) {
        try (Scalar s = scalar(slope)) {
            return make("leaky_relu", () -> torch.leaky_relu(engine(), s), this);
        }
    }

    // ---- products ----

    /** Matrix product over the last two axes, with broadcasting over the others. */
    public Tensor matmul(Tensor other) {
        return make("matmul", () -> torch.matmul(engine(), other.engine()), this, other);
    }

    /** {@code [B, N, K] x [B, K, M] -> [B, N, M]}. */
    public Tensor bmm(Tensor other) {
        return make("bmm", () -> torch.bmm(engine(), other.engine()), this, other);
    }

    // ---- reductions; no axes means all of them ----

    public Tensor sum(int... axes) {
        return sum(false, axes);
    }

    public Tensor sum(boolean keep, int... axes) {
        try (ScalarTypeOptional same = new ScalarTypeOptional()) {
            return axes.length == 0
                    ? make("sum", () -> torch.sum(engine()), this)
                    : make("sum", () -> torch.sum(engine(), longs(axes), keep, same), this);
        }
    }

    public Tensor mean(int... axes) {
        return mean(false, axes);
    }

    public Tensor mean(boolean keep, int... axes) {
        try (ScalarTypeOptional same = new ScalarTypeOptional()) {
            return axes.length == 0
                    ? make("mean", () -> torch.mean(engine()), this)
                    : make("mean", () -> torch.mean(engine(), longs(axes), keep, same), this);
        }
    }

    /** Variance: {@code unbiased} divides by n - 1. */
    public Tensor var(boolean unbiased, boolean keep, int... axes) {
        return axes.length == 0
                ? make("var", () -> torch.var(engine(), unbiased), this)
                : make("var", () -> torch.var(engine(), longs(axes), unbiased, keep), this);
    }

    public Tensor std(boolean unbiased, boolean keep, int... axes) {
        return axes.length == 0
                ? make("std", () -> torch.std(engine(), unbiased), this)
                : make("std", () -> torch.std(engine(), longs(axes), unbiased, keep), this);
    }

    public Tensor amax(boolean keep, int... axes) {
        return make("amax", () -> torch.amax(engine(), longs(axes), keep), this);
    }

    public Tensor amin(boolean keep, int... axes) {
        return make("amin", () -> torch.amin(engine(), longs(axes), keep), this);
    }

    /** The largest element of all. */
    public Tensor max() {
        return make("max", () -> torch.max(engine()), this);
    }

    /** The smallest element of all. */
    public Tensor min() {
        return make("min", () -> torch.min(engine()), this);
    }

    public Tensor argmax(int axis) {
        try (LongOptional a = new LongOptional(axis)) {
            return make("argmax", () -> torch.argmax(engine(), a, false), this);
        }
    }

    public Tensor argmin(int axis) {
        try (LongOptional a = new LongOptional(axis)) {
            return make("argmin", () -> torch.argmin(engine(), a, false), this);
        }
    }

    public Tensor prod(int axis, boolean keep) {
        try (ScalarTypeOptional same = new ScalarTypeOptional()) {
            return make("prod", () -> torch.prod(engine(), axis, keep, same), this);
        }
    }

    public Tensor cumsum(int axis) {
        return make("cumsum", () -> torch.cumsum(engine(), axis), this);
    }

    public Tensor cumprod(int axis) {
        return make("cumprod", () -> torch.cumprod(engine(), axis), this);
    }

    public Tensor logsumexp(boolean keep, int... axes) {
        return make("logsumexp", () -> torch.logsumexp(engine(), longs(axes), keep), this);
    }

    /** Euclidean length over the axes. */
    public Tensor norm(boolean keep, int... axes) {
        try (Scalar two = scalar(2);
                ScalarTypeOptional same = new ScalarTypeOptional();
                LongArrayRefOptional all = new LongArrayRefOptional()) {
            return axes.length == 0
                    ? make("norm", () -> torch.linalg_vector_norm(engine(), two, all, keep, same), this)
                    : make("norm", () -> torch.linalg_vector_norm(engine(), two, longs(axes), keep, same), this);
        }
    }

    /** Whether any element is true. */
    public boolean any() {
        try (Tensor t = Scope.detach(make("any", () -> torch.any(engine()), this))) {
            return t.item() != 0;
        }
    }

    /** Whether all elements are true. */
    public boolean all() {
        try (Tensor t = Scope.detach(make("all", () -> torch.all(engine()), this))) {
            return t.item() != 0;
        }
    }

    public Tensor softmax(int axis) {
        return make("softmax", () -> torch.softmax(engine(), axis), this);
    }

    /** Softmax computed and returned in another type, as attention in half precision does. */
    public Tensor softmax(int axis, DType dtype) {
        try (ScalarTypeOptional d = new ScalarTypeOptional(dtype.engine())) {
            return make("softmax", () -> torch.softmax(engine(), axis, d), this);
        }
    }

    public Tensor logSoftmax(int axis) {
        return make("log_softmax", () -> torch.log_softmax(engine(), axis), this);
    }

    /** Values and their indices. */
    public record Ranked(Tensor values, Tensor indices) {}

    /** The k largest along an axis, largest first. */
    public Ranked topk(long k, int axis) {
        return ranked("topk", () -> torch.topk(engine(), k, axis, true, true));
    }

    /** Sorted along an axis; equal elements keep their order. */
    public Ranked sort(int axis, boolean descending) {
        try (BoolOptional stable = new BoolOptional(true)) {
            return ranked("sort", () -> torch.sort(engine(), stable, axis, descending));
        }
    }

    private Ranked ranked(String operator, Supplier<T_TensorTensor_T> call) {
        try (T_TensorTensor_T r = call.get()) {
            return new Ranked(copyOf(operator, r.get0()), copyOf(operator, r.get1()));
        } catch (RuntimeException e) {
            throw TensorException.of(operator, e, this);
        }
    }

    // ---- shape ----

    /** The same elements in another shape; one size may be -1. */
    public Tensor reshape(long... shape) {
        return make("reshape", () -> engine().reshape(shape), this);
    }

    public Tensor view(long... shape) {
        return make("view", () -> engine().view(shape), this);
    }

    /** The same bytes read as another element type of a size that fits. */
    public Tensor viewAs(DType dtype) {
        return make("view", () -> engine().view(dtype.engine()), this);
    }

    public Tensor permute(long... axes) {
        return make("permute", () -> engine().permute(axes), this);
    }

    public Tensor transpose(int a, int b) {
        return make("transpose", () -> engine().transpose(a, b), this);
    }

    /** Axes from the first to the last become one. */
    public Tensor flatten(int first, int last) {
        return make("flatten", () -> engine().flatten(first, last), this);
    }

    /** Axes from the first to the end become one. */
    public Tensor flatten(int first) {
        return flatten(first, -1);
    }

    /** One axis becomes several; one size may be -1. */
    public Tensor unflatten(int axis, long... sizes) {
        return make("unflatten", () -> engine().unflatten(axis, sizes), this);
    }

    public Tensor unsqueeze(int axis) {
        return make("unsqueeze", () -> engine().unsqueeze(axis), this);
    }

    public Tensor squeeze(int axis) {
        return make("squeeze", () -> engine().squeeze(axis), this);
    }

    /** Axes of length 1 repeated without copying; -1 keeps an axis. */
    public Tensor expand(long... shape) {
        return make("expand", () -> engine().expand(shape), this);
    }

    public Tensor repeat(long... times) {
        return make("repeat", () -> engine().repeat(times), this);
    }

    /** Each slice along the axis repeated in place: a a b b c c. */
    public Tensor repeatInterleave(long times, int axis) {
        try (LongOptional a = new LongOptional(axis);
                LongOptional size = new LongOptional()) {
            return make("repeat_interleave", () -> torch.repeat_interleave(engine(), times, a, size), this);
        }
    }

    /** {@code length} slices from {@code start}. */
    public Tensor narrow(int axis, long start, long length) {
        return make("narrow", () -> engine().narrow(axis, start, length), this);
    }

    /** Slices start to end (excluded; negative counts from the end), with a step. */
    public Tensor slice(int axis, long start, long end, long step) {
        try (LongOptional a = new LongOptional(start);
                LongOptional b = new LongOptional(end)) {
            return make("slice", () -> engine().slice(axis, a, b, step), this);
        }
    }

    public Tensor slice(int axis, long start, long end) {
        return slice(axis, start, end, 1);
    }

    /** One slice; the axis goes away. */
    public Tensor select(int axis, long index) {
        return make("select", () -> engine().select(axis, index), this);
    }

    public List<Tensor> chunk(int n, int axis) {
        try (TensorVector v = native_("chunk", () -> engine().chunk(n, axis), this)) {
            return list("chunk", v);
        }
    }

    public List<Tensor> split(int axis, long... sizes) {
        try (TensorVector v = native_("split", () -> engine().split(sizes, axis), this)) {
            return list("split", v);
        }
    }

    public List<Tensor> unbind(int axis) {
        try (TensorVector v = native_("unbind", () -> engine().unbind(axis), this)) {
            return list("unbind", v);
        }
    }

    public Tensor flip(long... axes) {
        return make("flip", () -> engine().flip(axes), this);
    }

    public Tensor roll(long shift, int axis) {
        return make("roll", () -> torch.roll(engine(), new long[] {shift}, axis), this);
    }

    public Tensor tril(long diagonal) {
        return make("tril", () -> torch.tril(engine(), diagonal), this);
    }

    public Tensor triu(long diagonal) {
        return make("triu", () -> torch.triu(engine(), diagonal), this);
    }

    public Tensor contiguous() {
        return make("contiguous", () -> engine().contiguous(), this);
    }

    /** A copy of its own. */
    public Tensor copy() {
        return make("clone", () -> engine().clone(), this);
    }

    /** Another handle on the same memory, to be closed by itself. */
    public Tensor alias() {
        return copyOf(name, engine());
    }

    // ---- indexing ----

    /** Slices by an index vector. */
    public Tensor indexSelect(int axis, Tensor index) {
        return make("index_select", () -> torch.index_select(engine(), axis, index.engine()), this, index);
    }

    public Tensor gather(int axis, Tensor index) {
        return make("gather", () -> torch.gather(engine(), axis, index.engine()), this, index);
    }

    public Tensor scatter(int axis, Tensor index, Tensor values) {
        return make(
                "scatter", () -> torch.scatter(engine(), axis, index.engine(), values.engine()), this, index, values);
    }

    public Tensor scatterAdd(int axis, Tensor index, Tensor values) {
        return make(
                "scatter_add",
                () -> torch.scatter_add(engine(), axis, index.engine(), values.engine()),
                this,
                index,
                values);
    }

    public Tensor indexAdd(int axis, Tensor index, Tensor values) {
        return make(
                "index_add",
                () -> torch.index_add(engine(), axis, index.engine(), values.engine()),
                this,
                index,
                values);
    }

    public Tensor maskedFill(Tensor mask, double value) {
        try (Scalar s = scalar(value)) {
            return make("masked_fill", () -> torch.masked_fill(engine(), mask.engine(), s), this, mask);
        }
    }

    public Tensor maskedSelect(Tensor mask) {
        return make("masked_select", () -> torch.masked_select(engine(), mask.engine()), this, mask);
    }

    /** Indices of the elements that are not zero, {@code [N, axes]}. */
    public Tensor nonzero() {
        return make("nonzero", () -> torch.nonzero(engine()), this);
    }

    // ---- type and place ----

    /** In another element type; itself (as a new handle) where it has that type already. */
    public Tensor to(DType dtype) {
        return make("to", () -> engine().to(dtype.engine()), this);
    }

    public Tensor to(Device device) {
        try (org.bytedeco.pytorch.Device d = device.engine();
                MemoryFormatOptional same = new MemoryFormatOptional()) {
            org.bytedeco.pytorch.Tensor t = engine();
            return make("to", () -> t.to(d, t.scalar_type(), false, false, same), this);
        }
    }

    // ---- complex numbers ----

    /** {@code [..., 2]} as complex {@code [...]}. */
    public Tensor viewAsComplex() {
        return make("view_as_complex", () -> torch.view_as_complex(engine()), this);
    }

    /** Complex {@code [...]} as {@code [..., 2]}. */
    public Tensor viewAsReal() {
        return make("view_as_real", () -> torch.view_as_real(engine()), this);
    }

    // ---- in place: return this ----

    public Tensor addInPlace(Tensor other) {
        return inPlace("add_", t -> t.add_(other.engine()), other);
    }

    /** this += other * factor. */
    public Tensor addInPlace(Tensor other, double factor) {
        try (Scalar s = scalar(factor)) {
            return inPlace("add_", t -> t.add_(other.engine(), s), other);
        }
    }

    public Tensor addInPlace(double value) {
        try (Scalar s = scalar(value);
                Scalar one = scalar(1L)) {
            return inPlace("add_", t -> t.add_(s, one));
        }
    }

    public Tensor mulInPlace(Tensor other) {
        return inPlace("mul_", t -> t.mul_(other.engine()), other);
    }

    public Tensor mulInPlace(double value) {
        try (Scalar s = scalar(value)) {
            return inPlace("mul_", t -> t.mul_(s));
        }
    }

    /** this += weight * (end - this). */
    public Tensor lerpInPlace(Tensor end, double weight) {
        try (Scalar s = scalar(weight)) {
            return inPlace("lerp_", t -> t.lerp_(end.engine(), s), end);
        }
    }

    public Tensor fillInPlace(double value) {
        try (Scalar s = scalar(value)) {
            return inPlace("fill_", t -> t.fill_(s));
        }
    }

    /** Copies values, type and device converted. */
    public Tensor copyInPlace(Tensor source) {
        return inPlace("copy_", t -> t.copy_(source.engine()), source);
    }

    private interface Change {
        Object apply(org.bytedeco.pytorch.Tensor t);
    }

    private Tensor inPlace(String operator, Change change, Tensor... others) {
        try {
            change.apply(engine());
            return this;
        } catch (RuntimeException e) {
            Tensor[] all = Arrays.copyOf(others, others.length + 1);
            all[others.length] = this;
            throw TensorException.of(operator, e, all);
        }
    }

    // ---- gradients ----

    public boolean requiresGrad() {
        return engine().requires_grad();
    }

    /** Marks a leaf for training. Returns this. */
    public Tensor requireGrad(boolean required) {
        return inPlace("requires_grad_", t -> t.set_requires_grad(required));
    }

    /** The same memory outside the recorded graph. */
    public Tensor detach() {
        return make("detach", () -> engine().detach(), this);
    }

    /** Accumulates gradients of this one number into the leaves that require them. */
    public void backward() {
        inPlace("backward", t -> {
            t.backward();
            return t;
        });
    }

    /** Accumulates gradients, weighted by the gradient of this tensor. */
    public void backward(Tensor gradient) {
        try (BoolOptional keep = new BoolOptional(false);
                org.bytedeco.pytorch.TensorArrayRefOptional all = new org.bytedeco.pytorch.TensorArrayRefOptional()) {
            inPlace(
                    "backward",
                    t -> {
                        t.backward(gradient.engine(), keep, false, all);
                        return t;
                    },
                    gradient);
        }
    }

    /** The accumulated gradient, or null where none has arrived. */
    public @Nullable Tensor grad() {
        org.bytedeco.pytorch.Tensor g = engine().grad();
        return g.defined() ? copyOf(name + ".grad", g) : null;
    }

    /** Replaces the gradient by a tensor of the same shape and type, whose memory it then shares. */
    public void setGrad(Tensor gradient) {
        inPlace("grad", t -> t.mutable_grad().put(gradient.engine()), gradient);
    }

    /** Whom the threads of these copies see in place of this tensor; null copies for nobody. */
    void standIns(@Nullable GradientCopies newCopies, Tensor... leaves) {
        standIns = leaves;
        copies = newCopies;
    }

    public void zeroGrad() {
        org.bytedeco.pytorch.Tensor g = engine().mutable_grad();
        if (g.defined()) {
            g.reset();
        }
    }

    // ---- ending ----

    /** Frees this handle; the memory goes when no view or graph holds it. Closing twice is harmless. */
    @Override
    public void close() {
        org.bytedeco.pytorch.Tensor t = handle;
        if (t == null) {
            return;
        }
        if (owner != null) {
            owner.release(this);
        }
        shapeWhenClosed = shapeOf(t);
        handle = null;
        t.close();
    }

    /** Name, element type and shape, as messages show it: {@code matmul FLOAT32[2, 3]}. */
    String describe() {
        if (handle == null) {
            return name + TensorException.shape(shapeWhenClosed == null ? new long[0] : shapeWhenClosed) + " (closed)";
        }
        return name + " " + dtype() + TensorException.shape(shape());
    }

    @Override
    public String toString() {
        return "Tensor " + describe();
    }

    // ---- inside the package ----

    org.bytedeco.pytorch.Tensor engine() {
        GradientCopies c = copies;
        if (c != null) {
            int copy = c.current();
            if (copy >= 0) {
                return standIns[copy].engine();
            }
        }
        org.bytedeco.pytorch.Tensor t = handle;
        if (t == null) {
            throw new IllegalStateException("tensor " + describe() + " was closed: a result that outlives its scope is "
                    + "moved out with scope.keep(..) first");
        }
        return t;
    }

    static Tensor make(String operator, Supplier<org.bytedeco.pytorch.Tensor> call, Tensor... inputs) {
        return Scope.register(new Tensor(native_(operator, call, inputs), operator));
    }

    private interface WithOptions {
        org.bytedeco.pytorch.Tensor from(TensorOptions options);
    }

    private static Tensor make(String operator, DType dtype, Device device, WithOptions call) {
        Engine.load();
        try (TensorOptions plain = new TensorOptions(dtype.engine());
                org.bytedeco.pytorch.Device d = device.engine();
                org.bytedeco.pytorch.DeviceOptional place = new org.bytedeco.pytorch.DeviceOptional(d);
                TensorOptions options = plain.device(place)) {
            return make(operator, () -> call.from(options));
        }
    }

    static <T> T native_(String operator, Supplier<T> call, Tensor... inputs) {
        try {
            return call.get();
        } catch (IllegalStateException e) {
            throw e; // a closed tensor says so itself
        } catch (RuntimeException e) {
            throw TensorException.of(operator, e, inputs);
        }
    }

    /** A handle of our own on a tensor that some native container holds. */
    static Tensor copyOf(String operator, org.bytedeco.pytorch.Tensor held) {
        return Scope.register(new Tensor(new org.bytedeco.pytorch.Tensor(held), operator));
    }

    static List<Tensor> list(String operator, TensorVector v) {
        List<Tensor> r = new ArrayList<>((int) v.size());
        for (long i = 0; i < v.size(); i++) {
            r.add(copyOf(operator, v.get(i)));
        }
        return r;
    }

    static TensorVector vector(Collection<Tensor> tensors) {
        Engine.load();
        TensorVector v = new TensorVector();
        for (Tensor t : tensors) {
            v.push_back(t.engine());
        }
        return v;
    }

    static TensorOptional optional(@Nullable Tensor t) {
        return t == null ? new TensorOptional() : new TensorOptional(t.engine());
    }

    static DoubleOptional optional(@Nullable Double d) {
        return d == null ? new DoubleOptional() : new DoubleOptional(d);
    }

    static Scalar scalar(double value) {
        return new Scalar(value);
    }

    static Scalar scalar(long value) {
        return new Scalar(value);
    }

    static long[] longs(int... values) {
        return Arrays.stream(values).asLongStream().toArray();
    }

    private static long[] shapeOf(org.bytedeco.pytorch.Tensor t) {
        long[] s = new long[(int) t.dim()];
        for (int i = 0; i < s.length; i++) {
            s[i] = t.size(i);
        }
        return s;
    }

    private int arrayLength() {
        long n = numel();
        if (n > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(describe() + " is larger than one Java array");
        }
        return (int) n;
    }

    private static Tensor sized(DType dtype, int values, long... shape) {
        long n = Arrays.stream(shape).reduce(1, Math::multiplyExact);
        if (n != values) {
            throw new IllegalArgumentException(values + " values do not fill shape " + TensorException.shape(shape));
        }
        return zeros(dtype, Device.CPU, shape);
    }
}
