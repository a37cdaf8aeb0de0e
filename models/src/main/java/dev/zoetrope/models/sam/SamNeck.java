package dev.zoetrope.models.sam;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.LayerNorm;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/** From what comes out of a block of the image encoder to the embedding: {@code [B, H, W, D] -> [B, C, H, W]}. */
public final class SamNeck implements Module {
    private static final double EPS = 1e-6;

    private final Conv2d in;
    private final LayerNorm inNorm;
    private final Conv2d out;
    private final LayerNorm outNorm;

    /**
     * @param hidden D
     * @param channels C
     */
    public SamNeck(Weights w, long hidden, long channels) {
        in = new Conv2d(w.at("conv1"), hidden, channels, 1, 1, 0, 1, false);
        inNorm = new LayerNorm(w.at("layer_norm1"), channels, EPS);
        out = new Conv2d(w.at("conv2"), channels, channels, 3, 1, 1, 1, false);
        outNorm = new LayerNorm(w.at("layer_norm2"), channels, EPS);
    }

    @Override
    public Tensor forward(Tensor hidden) {
        try (Scope s = Scope.open()) {
            Tensor x = overChannels(inNorm, in.forward(hidden.permute(0, 3, 1, 2)));
            return s.keep(overChannels(outNorm, out.forward(x)));
        }
    }

    /** {@code [B, C, H, W]}, normalised over C. */
    static Tensor overChannels(LayerNorm norm, Tensor x) {
        return norm.forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2);
    }
}
