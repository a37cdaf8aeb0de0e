package dev.zoetrope.models.deepseekvl;

import dev.zoetrope.checkpoint.Json;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** From pictures to what {@link DeepSeekVl} sees: once, or at two resolutions. */
public final class DeepSeekVlProcessor {
    /** Stands in a prompt for each token of a picture. */
    public static final String PLACE = "<image_placeholder>";

    private final ImageProcessor low;
    private final @Nullable ImageProcessor high;

    private DeepSeekVlProcessor(ImageProcessor low, @Nullable ImageProcessor high) {
        this.low = low;
        this.high = high;
    }

    /** By preprocessor_config.json of a release's folder. */
    public static DeepSeekVlProcessor open(Path folder, DeepSeekVl.Config c) {
        ImageProcessor low = ImageProcessor.open(folder);
        Json json = Json.read(folder.resolve("preprocessor_config.json"));
        return new DeepSeekVlProcessor(low, c.detail() == null ? null : ImageProcessor.highResolution(json));
    }

    /** {@code [picture, 3, s, s]}. */
    public Tensor pixels(List<Image> images) {
        return low.batch(images);
    }

    /** {@code [picture, 3, S, S]}; null for a model that sees once. */
    public @Nullable Tensor highPixels(List<Image> images) {
        return high == null ? null : high.batch(images);
    }
}
