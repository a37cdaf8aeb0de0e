package dev.zoetrope.tasks;

import dev.zoetrope.models.ldm.Settings;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A sentence becomes a picture; with models that draw classes, or nothing in particular, a class or nothing does.
 *
 * <pre>{@code
 * try (var model = TextToImage.load(Path.of("stable-diffusion-v1-5"))) {
 *     model.generate("a sneaker").save(Path.of("sneaker.png"));
 * }
 * }</pre>
 *
 * One generation at a time: calls from several threads wait for each other.
 */
public final class TextToImage implements AutoCloseable {
    private final PictureModel model;

    private TextToImage(PictureModel model) {
        this.model = model;
    }

    /** A pipeline's folder with model_index.json, or Stable Diffusion 1.x in one file. */
    public static TextToImage load(Path folderOrFile) {
        return load(folderOrFile, false);
    }

    /** @param lowMemory whether the network's weights are read as each step needs them, of Stable Diffusion in a folder */
    public static TextToImage load(Path folderOrFile, boolean lowMemory) {
        return new TextToImage(PictureModel.load(folderOrFile, lowMemory));
    }

    /** The same model for changing pictures; closed with this one. */
    public ImageToImage forPictures() {
        return new ImageToImage(model);
    }

    /** One picture with the steps, guidance and size that the model is used with. */
    public ImageRequest defaults(String prompt) {
        return ImageRequest.of(model.defaults(prompt));
    }

    /**
     * Adds a LoRA, for as long as the model is open.
     *
     * @param strength 1 is as it was trained
     */
    public synchronized void addLora(Path file, double strength) {
        model.addLora(file, strength);
    }

    public GeneratedImage generate(String prompt) {
        return generate(defaults(prompt), ImageListener.NONE).get(0);
    }

    /**
     * As many pictures as the {@link Settings#count} of the request, in batches that fit.
     *
     * @throws java.util.concurrent.CancellationException when the listener says stop
     */
    public synchronized List<GeneratedImage> generate(ImageRequest request, ImageListener listener) {
        return model.make(request, model.fromPrompt(request), Map.of(), listener);
    }

    /**
     * Writes the model as a folder that diffusers reads, LoRAs merged into its weights. It appears complete or not at all.
     *
     * @param half whether in float16
     */
    public synchronized void save(Path folder, boolean half) {
        model.save(folder, half);
    }

    @Override
    public synchronized void close() {
        model.close();
    }
}
