package dev.zoetrope.tasks;

import dev.zoetrope.media.Image;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A picture and a sentence become a picture: like the given one, or the given one with a part painted anew.
 *
 * <pre>{@code
 * try (var model = ImageToImage.load(folder)) {
 *     var request = model.defaults("a watercolour of a harbour").withSeed(7);
 *     model.generate(Images.read(photo), 0.6, request, ImageListener.NONE).get(0).save(Path.of("harbour.png"));
 * }
 * }</pre>
 *
 * One generation at a time: calls from several threads wait for each other.
 */
public final class ImageToImage implements AutoCloseable {
    private final PictureModel model;

    ImageToImage(PictureModel model) {
        this.model = model;
    }

    /** A pipeline's folder with model_index.json, or Stable Diffusion 1.x in one file. */
    public static ImageToImage load(Path folderOrFile) {
        return load(folderOrFile, false);
    }

    /** @param lowMemory whether the network's weights are read as each step needs them, of Stable Diffusion in a folder */
    public static ImageToImage load(Path folderOrFile, boolean lowMemory) {
        return new ImageToImage(PictureModel.load(folderOrFile, lowMemory));
    }

    /** One picture with the steps and guidance that the model is used with, of the given picture's size. */
    public ImageRequest defaults(String prompt) {
        return ImageRequest.of(model.defaults(prompt).withSize(0, 0));
    }

    /** Adds a LoRA, for as long as the model is open. */
    public synchronized void addLora(Path file, double strength) {
        model.addLora(file, strength);
    }

    /**
     * Pictures like a given one.
     *
     * @param strength above 0, where the picture stays, to 1, where only its size does
     * @throws java.util.concurrent.CancellationException when the listener says stop
     */
    public synchronized List<GeneratedImage> generate(
            Image picture, double strength, ImageRequest request, ImageListener listener) {
        Map<String, String> more = Map.of("strength", Double.toString(strength));
        return model.make(request, model.fromPicture(request, picture, strength), more, listener);
    }

    /**
     * In-painting: what the mask shows in white is painted anew, the rest stays.
     *
     * @param mask of the picture's size
     * @param strength how much of what was there goes; 1 for all
     * @throws java.util.concurrent.CancellationException when the listener says stop
     */
    public synchronized List<GeneratedImage> repaint(
            Image picture, Image mask, double strength, ImageRequest request, ImageListener listener) {
        Map<String, String> more = Map.of("strength", Double.toString(strength));
        return model.make(request, model.repainting(request, picture, mask, strength), more, listener);
    }

    @Override
    public synchronized void close() {
        model.close();
    }
}
