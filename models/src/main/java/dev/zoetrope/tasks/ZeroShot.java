package dev.zoetrope.tasks;

import dev.zoetrope.media.Image;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Classifies pictures by names that are chosen at the moment of asking, arXiv:2103.00020: each name is put into sentences,
 * the mean of their vectors is the class.
 *
 * <pre>{@code
 * try (var model = ZeroShot.load(folder, List.of("cat", "dog", "truck"), List.of("a photo of a {}."))) {
 *     model.classify(Images.read(Path.of("photo.jpg"))).forEach(System.out::println);
 * }
 * }</pre>
 *
 * Safe for use by several threads at once.
 */
public final class ZeroShot implements AutoCloseable {
    /** Seven sentences that do nearly as well on ImageNet as the eighty of the paper. */
    public static final List<String> SEVEN = List.of(
            "itap of a {}.",
            "a bad photo of the {}.",
            "a origami {}.",
            "a photo of the large {}.",
            "a {} in a video game.",
            "art of the {}.",
            "a photo of the small {}.");

    private static final String PLACE = "{}";

    private final Embed model;
    private final List<String> labels;
    private final List<String> templates;
    private final Tensor classes; // [label, width]
    private final boolean owner;

    private ZeroShot(Embed model, List<String> labels, List<String> templates, Tensor classes, boolean owner) {
        this.model = model;
        this.labels = labels;
        this.templates = templates;
        this.classes = classes;
        this.owner = owner;
    }

    /** @param templates sentences with {@code {}} for the name; empty for the model's own */
    public static ZeroShot load(Path folder, List<String> labels, List<String> templates) {
        check(labels, templates);
        return of(Embed.load(folder), labels, templates);
    }

    /** Takes the model over: it is closed with the task. */
    public static ZeroShot of(Embed model, List<String> labels, List<String> templates) {
        try {
            return make(model, labels, templates, true);
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    /** With a model that stays its owner's and must stay open as long as this. */
    public static ZeroShot with(Embed model, List<String> labels, List<String> templates) {
        return make(model, labels, templates, false);
    }

    private static ZeroShot make(Embed model, List<String> labels, List<String> templates, boolean owner) {
        check(labels, templates);
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            List<String> used = templates.isEmpty() ? List.of(model.template()) : List.copyOf(templates);
            Tensor classes = Scope.detach(classes(model, labels, used));
            return new ZeroShot(model, List.copyOf(labels), used, classes, owner);
        }
    }

    /** Refuses labels and sentences that make no classes, before a model is loaded. */
    public static void check(List<String> labels, List<String> templates) {
        if (labels.stream().allMatch(String::isBlank)) {
            throw new UserError("the labels are empty; name the classes to choose from, such as cat,dog,truck");
        }
        if (labels.stream().anyMatch(String::isBlank)) {
            throw new UserError("among the labels " + labels + " is an empty name; take it out");
        }
        for (String t : templates) {
            if (!t.contains(PLACE)) {
                throw new UserError(
                        "the template \"" + t + "\" has no {} for the label, such as in \"a photo of a {}\"");
            }
        }
    }

    /** The mean over the sentences of the vectors of each label, made unit length again: {@code [label, width]}. */
    private static Tensor classes(Embed model, List<String> labels, List<String> templates) {
        List<Tensor> rows = new ArrayList<>();
        for (String label : labels) {
            try (Scope s = Scope.open()) {
                Tensor each = model.textTensor(sentences(label, templates));
                Tensor mean = each.mean(0);
                rows.add(s.keep(mean.div(mean.norm(true, -1))));
            }
        }
        return Tensor.stack(0, rows);
    }

    private static List<String> sentences(String label, List<String> templates) {
        return templates.stream().map(t -> t.replace(PLACE, label)).toList();
    }

    /** Every sentence of every label, as the model reads it. */
    public List<String> sentences() {
        return labels.stream().flatMap(l -> sentences(l, templates).stream()).toList();
    }

    public List<String> labels() {
        return labels;
    }

    /** The vectors of the classes, {@code [label, width]}, which stay the task's. */
    public Tensor classes() {
        return classes;
    }

    /** All labels, the likeliest first. */
    public List<Label> classify(Image image) {
        return classify(List.of(image)).get(0);
    }

    /** All labels for each picture, the likeliest first. */
    public List<List<Label>> classify(List<Image> images) {
        if (images.isEmpty()) {
            return List.of();
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Tensor logits = model.logits(model.imageTensor(images), classes); // [B, label]
            float[] p = model.probabilities(logits).toFloats();
            List<List<Label>> r = new ArrayList<>();
            for (int i = 0; i < images.size(); i++) {
                List<Label> row = new ArrayList<>();
                for (int j = 0; j < labels.size(); j++) {
                    row.add(new Label(labels.get(j), p[i * labels.size() + j]));
                }
                row.sort(Comparator.comparingDouble(Label::probability).reversed());
                r.add(List.copyOf(row));
            }
            return r;
        }
    }

    @Override
    public void close() {
        classes.close();
        if (owner) {
            model.close();
        }
    }
}
