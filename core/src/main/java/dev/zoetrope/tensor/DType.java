package dev.zoetrope.tensor;

import java.util.Locale;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Element types, under the names that PyTorch and safetensors use. */
public enum DType {
    FLOAT32(ScalarType.Float, 4, "F32"),
    FLOAT64(ScalarType.Double, 8, "F64"),
    FLOAT16(ScalarType.Half, 2, "F16"),
    BFLOAT16(ScalarType.BFloat16, 2, "BF16"),
    FLOAT8_E4M3(ScalarType.Float8_e4m3fn, 1, "F8_E4M3"),
    FLOAT8_E5M2(ScalarType.Float8_e5m2, 1, "F8_E5M2"),
    INT64(ScalarType.Long, 8, "I64"),
    INT32(ScalarType.Int, 4, "I32"),
    INT16(ScalarType.Short, 2, "I16"),
    INT8(ScalarType.Char, 1, "I8"),
    UINT8(ScalarType.Byte, 1, "U8"),
    BOOL(ScalarType.Bool, 1, "BOOL"),
    COMPLEX64(ScalarType.ComplexFloat, 8, "C64");

    private final ScalarType engine;
    private final int bytes;
    private final String safetensors;

    DType(ScalarType engine, int bytes, String safetensors) {
        this.engine = engine;
        this.bytes = bytes;
        this.safetensors = safetensors;
    }

    /** Size of one element in bytes. */
    public int bytes() {
        return bytes;
    }

    /** The name in a safetensors header. */
    public String safetensorsName() {
        return safetensors;
    }

    public boolean isFloating() {
        return switch (this) {
            case FLOAT32, FLOAT64, FLOAT16, BFLOAT16, FLOAT8_E4M3, FLOAT8_E5M2 -> true;
            default -> false;
        };
    }

    /** The type that a name stands for: {@code float32}, {@code torch.bfloat16}, {@code bf16} or {@code BF16}. */
    public static DType of(String name) {
        String key = name.strip().toLowerCase(Locale.ROOT).replace("torch.", "");
        for (DType d : values()) {
            if (key.equals(d.name().toLowerCase(Locale.ROOT)) || key.equals(d.safetensors.toLowerCase(Locale.ROOT))) {
                return d;
            }
        }
        return switch (key) {
            case "fp32", "float" -> FLOAT32;
            case "fp16", "half" -> FLOAT16;
            case "double" -> FLOAT64;
            case "long" -> INT64;
            default ->
                throw new UserError("unknown dtype '" + name + "'; known: float32, float16, bfloat16, float64, "
                        + "float8_e4m3, float8_e5m2, int64, int32, int16, int8, uint8, bool");
        };
    }

    ScalarType engine() {
        return engine;
    }

    static DType of(ScalarType engine) {
        for (DType d : values()) {
            if (d.engine.value == engine.value) { // the engine makes a new object for each answer
                return d;
            }
        }
        throw new IllegalArgumentException("element type " + engine + " is not one that Zoetrope uses");
    }
}
