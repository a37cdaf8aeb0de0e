package dev.zoetrope.models.video;

import dev.zoetrope.media.Filter;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.Resize;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import java.util.List;

/** Pictures as the tensors that autoencoders take. */
public final class Frames {
    private Frames() {}

    /** Each resized without regard to its aspect ratio, {@code [3, T, H, W]} in -1..1. */
    public static Tensor of(List<Image> images, int width, int height) {
        try (Scope s = Scope.open()) {
            List<Tensor> frames =
                    images.stream().map(i -> frame(i, width, height)).toList();
            return s.keep(Tensor.stack(1, frames));
        }
    }

    private static Tensor frame(Image image, int width, int height) { // [3, H, W]
        boolean fits = image.width() == width && image.height() == height;
        Image sized = fits ? image : Resize.to(image, width, height, Filter.LANCZOS);
        return Tensor.of(sized.rgb(), height, width, 3)
                .to(DType.FLOAT32)
                .permute(2, 0, 1)
                .div(127.5)
                .sub(1.0);
    }
}
