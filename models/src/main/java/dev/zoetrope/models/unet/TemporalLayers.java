package dev.zoetrope.models.unet;

import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.nn.Conv3d;
import dev.zoetrope.nn.GroupNorm;
import dev.zoetrope.nn.Linear;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Layers of a U-Net of pictures that look along time. B videos, F frames, C channels; frames come as pictures,
 * {@code [B F, C, H, W]}.
 */
final class TemporalLayers {
    private static final double NORM_EPS = 1e-6;
    private static final double CONV_EPS = 1e-5;

    private TemporalLayers() {}

    /** {@code [B F, C, H, W] -> [B, C, F, H, W]}. */
    private static Tensor video(Tensor x, int frames) {
        return x.unflatten(0, -1, frames).transpose(1, 2);
    }

    /** {@code [B, C, F, H, W] -> [B F, C, H, W]}. */
    private static Tensor pictures(Tensor x) {
        return x.transpose(1, 2).flatten(0, 1);
    }

    /** Four convolutions over three frames, added to their input. */
    static final class Convs {
        private final List<GroupNorm> norms = new ArrayList<>();
        private final List<Conv3d> convs = new ArrayList<>();

        Convs(Weights w, int channels, int groups) {
            for (int i = 1; i <= 4; i++) {
                Weights at = w.at("conv" + i);
                norms.add(new GroupNorm(at.at("0"), groups, channels, CONV_EPS));
                // A dropout between counts in the names of all but the first.
                convs.add(new Conv3d(
                        at.at(i == 1 ? "2" : "3"),
                        channels,
                        channels,
                        new long[] {3, 1, 1},
                        new long[] {1, 1, 1},
                        new long[] {1, 0, 0},
                        Conv3d.Past.PADDED,
                        true));
            }
        }

        Tensor forward(Tensor x, int frames) {
            try (Scope s = Scope.open()) {
                Tensor v = video(x, frames);
                Tensor y = v;
                for (int i = 0; i < convs.size(); i++) {
                    y = convs.get(i).forward(norms.get(i).forward(y).silu());
                }
                return s.keep(pictures(v.add(y)));
            }
        }
    }

    /** Attention of each place to itself in all frames, twice, added to the input. */
    static final class Transformer {
        private final GroupNorm norm;
        private final Linear projIn;
        private final List<SpatialTransformer.Block> blocks;
        private final Linear projOut;

        Transformer(Weights w, int channels, int heads, int headSize, int groups) {
            int inner = heads * headSize;
            norm = new GroupNorm(w.at("norm"), groups, channels, NORM_EPS);
            projIn = new Linear(w.at("proj_in"), channels, inner);
            SpatialTransformer.Config c =
                    new SpatialTransformer.Config(heads, List.of(1), inner, groups, true, false, false);
            blocks = w.at("transformer_blocks").stack(1, at -> new SpatialTransformer.Block(c, inner, at));
            projOut = new Linear(w.at("proj_out"), inner, channels);
        }

        Tensor forward(Tensor x, int frames, Pass.Steering steering) {
            Pass.Steering alone = new Pass.Steering(steering.time(), null, null, null, steering.watch());
            try (Scope s = Scope.open()) {
                Tensor v = norm.forward(video(x, frames)); // [B, C, F, H, W]
                Tensor y = v.permute(0, 3, 4, 2, 1); // [B, H, W, F, C]
                Tensor tokens = projIn.forward(y.flatten(0, 2)); // [B H W, F, inner]
                for (SpatialTransformer.Block block : blocks) {
                    tokens = block.forward(tokens, alone);
                }
                Tensor out = projOut.forward(tokens)
                        .reshape(y.size(0), y.size(1), y.size(2), frames, -1)
                        .permute(0, 3, 4, 1, 2)
                        .flatten(0, 1); // [B F, C, H, W]
                return s.keep(out.add(x));
            }
        }
    }
}
