package dev.zoetrope.models.ldm;

import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Resize;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Between pictures and the tensors of autoencoders. */
public final class Pixels {
    private Pixels() {}

    /** {@code [1, 3, H, W]} in -1..1, resized first. */
    public static Tensor of(Image picture, int width, int height, Filter filter) {
        Image fit = Resize.to(picture, width, height, filter);
        try (Scope s = Scope.open()) {
            return s.keep(Tensor.of(fit.planes(), 1, 3, height, width).mul(2.0).sub(1.0));
        }
    }

    /** White (repaint) from the middle grey up: {@code [1, 1, H, W]}, 1 or 0. */
    public static Tensor mask(Image mask, int width, int height, Filter filter) {
        Image fit = Resize.to(mask, width, height, filter);
        float[] white = new float[width * height];
        for (int i = 0; i < white.length; i++) {
            int rgb = fit.pixel(i % width, i / width);
            // Pillow's weights for grey, in 16 bits.
            int grey = ((rgb >> 16 & 0xff) * 19595 + (rgb >> 8 & 0xff) * 38470 + (rgb & 0xff) * 7471 + 0x8000) >> 16;
            white[i] = grey >= 128 ? 1 : 0;
        }
        return Tensor.of(white, 1, 1, height, width);
    }

    /** From what a decoder makes to 0..1; what lies beyond is cut. */
    public static Tensor unit(Tensor decoded) {
        try (Scope s = Scope.open()) {
            return s.keep(decoded.div(2.0).add(0.5).clamp(0, 1));
        }
    }

    /** The pictures of a batch, {@code [B, 3, H, W]} in 0..1. */
    public static List<Image> images(Tensor unit) {
        List<Image> r = new ArrayList<>();
        for (int i = 0; i < unit.size(0); i++) {
            try (Scope s = Scope.open()) {
                float[] planes = unit.select(0, i).to(DType.FLOAT32).toFloats();
                r.add(Image.ofPlanes(planes, (int) unit.size(2), (int) unit.size(3)));
            }
        }
        return r;
    }
}
