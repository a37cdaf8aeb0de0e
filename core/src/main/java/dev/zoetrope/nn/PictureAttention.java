package dev.zoetrope.nn;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.checkpoint.Renames;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Attention among all places of a picture with a residual around it, arXiv:2006.11239, names as in diffusers or as in
 * its first releases. {@code [B, C, H, W] -> [B, C, H, W]}.
 */
public final class PictureAttention implements Module {
    private static final Renames FIRST_RELEASES = Renames.of(
            "\\.to_q\\.", ".query.",
            "\\.to_k\\.", ".key.",
            "\\.to_v\\.", ".value.",
            "\\.to_out\\.0\\.", ".proj_attn.");

    private final @Nullable GroupNorm norm;
    private final Attention attention;
    private final double scale;

    /**
     * @param groups of the norm in front; 0 for none
     * @param scale the sum with the input is divided by this
     */
    public PictureAttention(Weights stored, int channels, int headSize, int groups, double eps, double scale) {
        Check.divides(headSize, channels, "attention_head_dim", "channels");
        Weights w = stored.has("query.weight") ? stored.renamed(FIRST_RELEASES) : stored;
        norm = groups == 0 ? null : new GroupNorm(w.at("group_norm"), groups, channels, eps);
        attention = Attention.of(w, channels, channels / headSize, true, "to_q", "to_k", "to_v", "to_out.0");
        this.scale = scale;
    }

    @Override
    public Tensor forward(Tensor x) {
        try (Scope s = Scope.open()) {
            Tensor h = norm == null ? x : norm.forward(x);
            Tensor tokens = h.flatten(2).transpose(1, 2); // [B, H W, C]
            Tensor y = attention.forward(tokens).transpose(1, 2).reshape(x.shape()); // [B, C, H, W]
            Tensor sum = y.add(x);
            return s.keep(scale == 1 ? sum : sum.div(scale));
        }
    }
}
