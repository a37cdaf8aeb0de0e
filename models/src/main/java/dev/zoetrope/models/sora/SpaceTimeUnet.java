package dev.zoetrope.models.sora;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.checkpoint.Weights;
import dev.zoetrope.models.unet.VideoUnet;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A U-Net with layers along time in the transformer's place, to compare the two: the same latents, captions, losses and
 * steps. It looks at the caption's words, and at its pooled vectors as four words more, by cross-attention.
 */
public final class SpaceTimeUnet implements SpaceTimeNetwork {
    /** What config.json calls a network of this kind. */
    public static final String CLASS = "UNet3DConditionModel";

    private static final double TIMESTEPS = 1000;

    private final VideoUnet unet;
    private final double flowShift;

    /** @param config that of a UNet3DConditionModel, and {@code flow_shift} */
    public SpaceTimeUnet(Json config, Weights w) {
        unet = new VideoUnet(VideoUnet.Config.of(config), w);
        flowShift = config.get("flow_shift", 4.);
    }

    @Override
    public Tensor forward(Tensor latents, Tensor t, CaptionEncoder.Encoded caption, @Nullable Tensor given) {
        if (given != null) {
            throw new IllegalArgumentException("a U-Net is not told given frames");
        }
        try (Scope s = Scope.open()) {
            Tensor words = caption.words().maskedFill(caption.present().not().unsqueeze(-1), 0);
            Tensor text = Tensor.cat(1, words, caption.pooled()); // [B, L + Q, D]
            return s.keep(unet.forward(latents, t.mul(TIMESTEPS), text));
        }
    }

    @Override
    public double flowShift() {
        return flowShift;
    }

    @Override
    public boolean givenFrames() {
        return false;
    }
}
