package dev.zoetrope.tasks;

import dev.zoetrope.media.Image;
import java.nio.file.Path;
import java.util.Map;

/**
 * A picture becomes larger, with detail that a model invents.
 *
 * <pre>{@code
 * try (var model = Upscale.load(folder)) {
 *     model.generate(Images.read(photo)).save(Path.of("large.png"));
 * }
 * }</pre>
 *
 * One generation at a time: calls from several threads wait for each other.
 */
public final class Upscale implements AutoCloseable {
    /** Noise on the small picture, which says how much detail may be invented; the default of the published model. */
    public static final int NOISE_LEVEL = 20;

    private final PictureModel model;

    private Upscale(PictureModel model) {
        this.model = model;
    }

    /** Such as CompVis/ldm-super-resolution-4x-openimages or stabilityai/stable-diffusion-x4-upscaler. */
    public static Upscale load(Path folder) {
        return new Upscale(PictureModel.load(folder));
    }

    /** @param prompt what the picture shows, for models that read it; else empty */
    public ImageRequest defaults(String prompt) {
        return ImageRequest.of(model.defaults(prompt).withSize(0, 0));
    }

    public GeneratedImage generate(Image picture) {
        return generate(picture, NOISE_LEVEL, defaults(""), ImageListener.NONE);
    }

    /**
     * @param noiseLevel timestep as far as which the picture is noised first, of models that do so
     * @throws java.util.concurrent.CancellationException when the listener says stop
     */
    public synchronized GeneratedImage generate(
            Image picture, int noiseLevel, ImageRequest request, ImageListener listener) {
        ImageRequest one = request.with(request.settings().withCount(1));
        Map<String, String> more = Map.of("noise_level", Integer.toString(noiseLevel));
        return model.make(one, model.enlargement(one, picture, noiseLevel), more, listener)
                .get(0);
    }

    @Override
    public synchronized void close() {
        model.close();
    }
}
