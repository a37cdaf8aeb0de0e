package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Names what is in a picture, out of the classes that the model was trained for.
 *
 * <pre>{@code
 * try (var model = Classify.load(folder)) {
 *     model.top(Images.read(Path.of("photo.jpg")), 5).forEach(System.out::println);
 * }
 * }</pre>
 *
 * Safe for use by several threads at once.
 */
public final class Classify implements AutoCloseable {
    private final Vit model;
    private final ImageProcessor processor;

    private Classify(Vit model, ImageProcessor processor) {
        this.model = model;
        this.processor = processor;
    }

    /** The small ViT that comes with Zoetrope. It knows the objects of Carousel, the built-in world, and nothing else. */
    public static Classify builtIn() {
        return load(BuiltIn.folder(BuiltIn.VIT));
    }

    /** A ViT with a classifier and its preprocessor_config.json, such as google/vit-base-patch16-224. */
    public static Classify load(Path folder) {
        ImageProcessor processor = ImageProcessor.open(folder);
        Vit model = Vit.load(folder);
        if (model.config().labels().isEmpty()) {
            model.close();
            throw new UserError(
                    folder + ": config.json: architectures does not name ViTForImageClassification, so this "
                            + "model has no classes");
        }
        return new Classify(model, processor);
    }

    /** Names of all classes. */
    public List<String> labels() {
        return model.config().labels();
    }

    /** The likeliest classes, the best first. */
    public List<Label> top(Image image, int k) {
        return top(List.of(image), k).get(0);
    }

    /** The likeliest classes of each picture, the best first; fewer where the model has fewer. */
    public List<List<Label>> top(List<Image> images, int k) {
        Check.positive(k, "number of classes asked for");
        if (images.isEmpty()) {
            return List.of();
        }
        int n = Math.min(k, labels().size());
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor logits = model.forward(processor.batch(images)); // [B, labels]
            Tensor.Ranked best = logits.softmax(-1).topk(n, -1);
            float[] probabilities = best.values().toFloats();
            long[] ids = best.indices().toLongs();
            List<List<Label>> r = new ArrayList<>();
            for (int i = 0; i < images.size(); i++) {
                List<Label> row = new ArrayList<>();
                for (int j = i * n; j < (i + 1) * n; j++) {
                    row.add(new Label(labels().get((int) ids[j]), probabilities[j]));
                }
                r.add(List.copyOf(row));
            }
            return r;
        }
    }

    @Override
    public void close() {
        model.close();
    }
}
