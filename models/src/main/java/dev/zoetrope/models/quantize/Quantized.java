package dev.zoetrope.models.quantize;

import dev.zoetrope.tensor.Tensor;

/**
 * What is left of vectors.
 *
 * @param values in the shape of what was quantised
 * @param indices INT64, which value of the alphabet each vector became; with several codebooks a last axis over these
 */
public record Quantized(Tensor values, Tensor indices) {
    /** The quantised values, through which a gradient goes as if nothing had been done. */
    static Tensor straightThrough(Tensor x, Tensor quantized) {
        return x.requiresGrad() ? x.add(quantized.sub(x).detach()) : quantized;
    }
}
