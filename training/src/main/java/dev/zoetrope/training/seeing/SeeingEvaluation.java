package dev.zoetrope.training.seeing;

import dev.zoetrope.media.Image;
import dev.zoetrope.models.vit.Vit;
import dev.zoetrope.tasks.Embed;
import dev.zoetrope.tasks.Progress;
import dev.zoetrope.tasks.ZeroShot;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import dev.zoetrope.training.evaluation.Classification;
import dev.zoetrope.training.evaluation.Retrieval;
import dev.zoetrope.world.Caption;
import dev.zoetrope.world.Facts;
import dev.zoetrope.world.Scene;
import dev.zoetrope.world.Split;
import dev.zoetrope.world.Style;
import dev.zoetrope.world.World;
import dev.zoetrope.world.WorldObjects;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;

/**
 * Measures models that look at pictures on scenes of the built-in world that training never draws: with pairs of object
 * and style that it does draw, and with those that it never does (a tenth of the flat drawings).
 */
public final class SeeingEvaluation {
    private static final List<Split.Side> SIDES = List.of(Split.Side.SEEN, Split.Side.HELD_OUT);
    private static final int SIDE = 64;
    private static final int BATCH = 64;
    private static final int GALLERY = 256; // pictures and captions that have to find each other

    private final WorldPictures pictures = WorldPictures.of(WorldObjects.all(), Style.values(), SIDE);
    private final int count;
    private final Progress progress;
    private final int rounds;
    private int done;

    /**
     * @param count pictures a row of the table
     * @param progress told after each batch
     */
    public SeeingEvaluation(int count, Progress progress) {
        this.count = count;
        this.progress = progress;
        this.rounds = 2 * ((count + BATCH - 1) / BATCH);
    }

    /** What a ViT names right, of pairs of object and style that training draws or does not. */
    public Map<Split.Side, Classification> named(Path folder) {
        Map<Split.Side, Classification> r = new EnumMap<>(Split.Side.class);
        try (Vit vit = Vit.load(folder)) {
            List<String> labels = vit.config().labels();
            for (Split.Side side : SIDES) {
                World world = pictures.test(side);
                List<Tensor> logits = new ArrayList<>();
                List<Tensor> truth = new ArrayList<>();
                try (Autograd.Mode off = Autograd.off();
                        Scope s = Scope.open()) {
                    for (int i = 0; i < count; i += BATCH) {
                        List<Scene> scenes = WorldPictures.scenes(world, i, Math.min(BATCH, count - i));
                        long[] own = scenes.stream()
                                .mapToLong(scene -> place(
                                        labels, WorldPictures.object(scene).name(), folder))
                                .toArray();
                        truth.add(Tensor.of(own, own.length));
                        try (Scope batch = Scope.open()) {
                            logits.add(batch.keep(vit.forward(pictures.pixels(scenes))));
                        }
                        step();
                    }
                    r.put(side, Classification.of(Tensor.cat(0, logits), Tensor.cat(0, truth)));
                }
            }
        }
        return r;
    }

    /** The table of a ViT's model card. */
    public String vit(Path folder) {
        StringBuilder b = new StringBuilder(String.format("%-28s %9s %9s%n", "pictures", "top-1", "top-5"));
        named(folder)
                .forEach((side, c) -> b.append(String.format(
                        Locale.ROOT, "%-28s %7.1f %% %7.1f %%%n", name(side), 100 * c.top1(), 100 * c.top5())));
        return b.toString();
    }

    private static int place(List<String> labels, String name, Path folder) {
        int i = labels.indexOf(name);
        if (i < 0) {
            throw new UserError(folder + ": the model has no class '" + name + "'; evaluate measures models of all "
                    + WorldObjects.all().size() + " objects of the built-in world");
        }
        return i;
    }

    /**
     * How a CLIP or SigLIP does.
     *
     * @param names zero-shot, over the names of all objects
     * @param imageToText recall at 1 among {@value #GALLERY} captions
     * @param textToImage recall at 1 among {@value #GALLERY} pictures
     */
    public record Paired(Classification names, double imageToText, double textToImage) {}

    /** Zero-shot names of the objects, and retrieval among 256. */
    public Map<Split.Side, Paired> paired(Path folder) {
        List<String> labels = WorldObjects.all().stream()
                .map(o -> o.names().get(0).indefinite())
                .toList();
        Embed model = Embed.load(folder);
        Map<Split.Side, Paired> r = new EnumMap<>(Split.Side.class);
        try (ZeroShot task =
                ZeroShot.of(model, labels, List.of("a picture of {}", "a photo of {}", "a flat drawing of {}"))) {
            SIDES.forEach(side -> r.put(side, paired(side, model, task)));
        }
        return r;
    }

    /** The table of a CLIP's or SigLIP's model card. */
    public String pairs(Path folder) {
        StringBuilder b = new StringBuilder(
                String.format("%-28s %9s %9s %12s %12s%n", "pictures", "top-1", "top-5", "image->text", "text->image"));
        paired(folder)
                .forEach((side, p) -> b.append(String.format(
                        Locale.ROOT,
                        "%-28s %7.1f %% %7.1f %% %10.1f %% %10.1f %%%n",
                        name(side),
                        100 * p.names.top1(),
                        100 * p.names.top5(),
                        100 * p.imageToText,
                        100 * p.textToImage)));
        return b.append(String.format(
                        "top-1, top-5: zero-shot over %d names; last columns: recall at 1 among %d%n",
                        WorldObjects.all().size(), GALLERY))
                .toString();
    }

    private Paired paired(Split.Side side, Embed model, ZeroShot task) {
        World world = pictures.test(side);
        List<Scene> scenes = WorldPictures.scenes(world, 0, count);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            List<Tensor> images = new ArrayList<>();
            List<Tensor> texts = new ArrayList<>();
            for (int i = 0; i < count; i += BATCH) {
                List<Scene> some = scenes.subList(i, Math.min(count, i + BATCH));
                images.add(model.imageTensor(
                        some.stream().map(SeeingEvaluation::image).toList()));
                texts.add(model.textTensor(some.stream()
                        .map(scene -> scene.caption(Caption.Length.FULL, 0))
                        .toList()));
                step();
            }
            Tensor image = Tensor.cat(0, images); // [count, E]
            Tensor text = Tensor.cat(0, texts); // [count, E]
            Classification c = Classification.of(model.logits(image, task.classes()), pictures.labels(scenes));
            double[] recalls = new double[2];
            int galleries = 0;
            for (int i = 0; i < count; i += GALLERY) {
                int n = Math.min(GALLERY, count - i);
                List<Facts> facts =
                        scenes.subList(i, i + n).stream().map(Facts::of).toList();
                Retrieval found = Retrieval.of(
                        image.narrow(0, i, n),
                        text.narrow(0, i, n),
                        (picture, caption) -> facts.get(picture).equals(facts.get(caption)),
                        1);
                recalls[0] += found.imageToText()[0];
                recalls[1] += found.textToImage()[0];
                galleries++;
            }
            return new Paired(c, recalls[0] / galleries, recalls[1] / galleries);
        }
    }

    private static Image image(Scene scene) {
        return scene.render().frames().get(0);
    }

    private static String name(Split.Side side) {
        return side == Split.Side.SEEN ? "object and style seen" : "object never in this style";
    }

    private void step() {
        done++;
        if (!progress.step(done, rounds)) {
            throw new CancellationException("stopped after " + done + " of " + rounds + " batches");
        }
    }
}
