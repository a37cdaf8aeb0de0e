package dev.zoetrope.models.deepseekvl;

import dev.zoetrope.checkpoint.Init;
import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.sam.SamImageEncoder;
import dev.zoetrope.models.sam.SamNeck;
import dev.zoetrope.nn.Conv2d;
import dev.zoetrope.nn.Module;
import dev.zoetrope.tensor.Functional;
import dev.zoetrope.tensor.Functional.Interpolation;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;

/**
 * The eye for details: SAM's image encoder, read at its end and behind its first global block, both brought down to the
 * grid of SigLIP's patches.
 *
 * <p>Axes: B pictures, S side of a picture in pixels, H x W patches of SAM, E channels of SAM's embedding, G x G patches of
 * SigLIP.
 */
public final class HybridEye implements Module {
    private final SamImageEncoder encoder;
    private final SamNeck neck;
    private final Conv2d half;
    private final Conv2d quarter;
    private final Tensor alpha;
    private final int early;
    private final int grid;

    /**
     * @param j {@code high_res_vision_config}
     * @param grid G
     */
    HybridEye(Json j, int grid, Weights w) {
        SamImageEncoder.Config c = SamImageEncoder.Config.of(j);
        int channels = c.outChannels();
        encoder = new SamImageEncoder(c, w.at("high_res_vision_model.vision_encoder"));
        neck = new SamNeck(w.at("high_res_vision_neck"), c.hidden(), channels);
        Weights down = w.at("high_res_vision_proj");
        half = new Conv2d(down.at("conv1"), channels, 2L * channels, 3, 2, 1, 1, false);
        quarter = new Conv2d(down.at("conv2"), 2L * channels, 4L * channels, 3, 2, 1, 1, false);
        alpha = w.tensor("high_res_vision_alpha", Init.zeros(), 1);
        early = firstGlobal(j, c.layers()) + 1;
        this.grid = grid;
    }

    /** The first that is named, not the lowest. */
    private static int firstGlobal(Json j, int layers) {
        int[] global = j.get("global_attn_indexes", new int[] {2, 5, 8, 11});
        if (global.length == 0 || global[0] < 0 || global[0] >= layers) {
            throw j.unsupported("global_attn_indexes", "numbers of blocks, at least one, below " + layers);
        }
        return global[0];
    }

    /** Width of a token, 4 E. */
    long width() {
        return 4L * encoder.config().outChannels();
    }

    /** {@code [B, 3, S, S] -> [B, G G, 4 E]}, row by row. */
    @Override
    public Tensor forward(Tensor pixels) {
        try (Scope s = Scope.open()) {
            Tensor first = encoder.blocks(encoder.patches(pixels), 0, early); // [B, H, W, D]
            Tensor last = encoder.blocks(first, early, encoder.config().layers());
            Tensor details = down(neck.forward(first)).mul(alpha); // [B, 4 E, G, G]
            Tensor all = down(encoder.neck(last)).add(details);
            return s.keep(all.flatten(2).transpose(1, 2).contiguous());
        }
    }

    private Tensor down(Tensor x) { // [B, E, H, W] -> [B, 4 E, G, G]
        try (Scope s = Scope.open()) {
            Tensor even = Functional.interpolate(x, 4L * grid, 4L * grid, Interpolation.BILINEAR, false, false);
            return s.keep(quarter.forward(half.forward(even)));
        }
    }

    /** SAM's encoder alone. */
    public SamImageEncoder encoder() {
        return encoder;
    }
}
