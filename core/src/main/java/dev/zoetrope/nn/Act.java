package dev.zoetrope.nn;

import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;

/** Activation functions, under the names that configurations use. */
public enum Act {
    GELU,
    GELU_TANH,
    QUICK_GELU,
    RELU,
    SILU,
    TANH,
    SIGMOID,
    HARDSWISH,
    IDENTITY;

    /** {@code gelu}, {@code gelu_new}, {@code gelu_pytorch_tanh}, {@code quick_gelu}, {@code silu}, {@code swish} ... */
    public static Act of(String name) {
        return switch (name) {
            case "gelu", "gelu_python" -> GELU;
            case "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu-approximate", "gelu_tanh" -> GELU_TANH;
            case "quick_gelu" -> QUICK_GELU;
            case "relu" -> RELU;
            case "silu", "swish" -> SILU;
            case "tanh" -> TANH;
            case "sigmoid" -> SIGMOID;
            case "hardswish", "hard_swish" -> HARDSWISH;
            case "linear", "identity" -> IDENTITY;
            default ->
                throw new UserError("activation '" + name + "' is not supported; supported: gelu, gelu_new, "
                        + "gelu_pytorch_tanh, quick_gelu, relu, silu, tanh, sigmoid, hardswish, linear");
        };
    }

    public Tensor of(Tensor x) {
        return switch (this) {
            case GELU -> x.gelu();
            case GELU_TANH -> x.geluTanh();
            case QUICK_GELU -> x.mul(x.mul(1.702).sigmoid());
            case RELU -> x.relu();
            case SILU -> x.silu();
            case TANH -> x.tanh();
            case SIGMOID -> x.sigmoid();
            case HARDSWISH -> x.hardswish();
            case IDENTITY -> x;
        };
    }
}
