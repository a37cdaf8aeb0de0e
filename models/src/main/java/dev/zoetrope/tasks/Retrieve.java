package dev.zoetrope.tasks;

import dev.zoetrope.checkpoint.Check;
import dev.zoetrope.media.Image;
import dev.zoetrope.media.ImageProcessor;
import dev.zoetrope.media.Tokenizer;
import dev.zoetrope.models.blip2.Blip2Retrieval;
import dev.zoetrope.tensor.Autograd;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.Scope;
import dev.zoetrope.tensor.Tensor;
import dev.zoetrope.tensor.UserError;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Finds pictures by texts and texts by pictures, by BLIP-2's first stage: all are compared by their vectors (ITC), and the
 * best of them read again together with what was asked for (ITM), which tells more and costs a pass a pair.
 *
 * <pre>{@code
 * try (Retrieve model = Retrieve.load(folder)) {
 *     List<float[]> index = model.index(images);
 *     model.pictures("two dogs", index, images::get, 10, 64).forEach(System.out::println);
 * }
 * }</pre>
 *
 * Axes: I pictures, Q queries of a picture, E their width. Safe for use by several threads at once.
 */
public final class Retrieve implements AutoCloseable {
    private static final int TOGETHER = 8; // pairs that are read at a time

    /**
     * Something found.
     *
     * @param index which of those that were given
     * @param similarity cosine, -1 to 1 (ITC)
     * @param match how likely it belongs to what was asked for, 0 to 1 (ITM); NaN where it was not read again
     */
    public record Found(int index, double similarity, double match) {
        /** What counts: both, as in the paper's evaluation; what was not read again comes behind. */
        double score() {
            return Double.isNaN(match) ? similarity - 2 : similarity + match;
        }
    }

    private final Blip2Retrieval model;
    private final ImageProcessor processor;
    private final Tokenizer tokenizer;

    private Retrieve(Blip2Retrieval model, ImageProcessor processor, Tokenizer tokenizer) {
        this.model = model;
        this.processor = processor;
        this.tokenizer = tokenizer;
    }

    /** Opens the folder of a BLIP-2 for retrieval with tokenizer and processor. */
    public static Retrieve load(Path folder) {
        ImageProcessor processor = ImageProcessor.open(folder);
        Tokenizer tokenizer = Tokenizer.open(folder);
        try {
            return new Retrieve(Blip2Retrieval.load(folder), processor, tokenizer);
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    /** What is kept of pictures to find them, Q times E numbers each. */
    public List<float[]> index(List<Image> images) {
        if (images.isEmpty()) {
            return List.of();
        }
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            float[] all = model.images(features(images)).toFloats();
            int size = all.length / images.size();
            List<float[]> r = new ArrayList<>();
            for (int i = 0; i < images.size(); i++) {
                r.add(Arrays.copyOfRange(all, i * size, (i + 1) * size));
            }
            return r;
        }
    }

    /** Cosine of each picture of an index with each text, {@code [picture][text]}. */
    public float[][] similarity(List<float[]> index, List<String> texts) {
        try (Autograd.Mode off = Autograd.off();
                Scope s = Scope.open()) {
            Words words = words(texts);
            Tensor vectors = model.texts(words.ids, words.mask); // [text, E]
            float[][] r = new float[index.size()][];
            for (int i = 0; i < r.length; i++) {
                try (Scope one = Scope.open()) {
                    Tensor image = Tensor.of(
                            index.get(i),
                            1,
                            model.config().queries(),
                            model.config().shared());
                    r[i] = model.similarity(image, vectors).toFloats();
                }
            }
            return r;
        }
    }

    /** How likely each picture and the text at the same place belong together, 0 to 1. */
    public double[] matches(List<Image> images, List<String> texts) {
        Check.equal(texts.size(), images.size(), "number of texts", "number of pictures");
        double[] r = new double[images.size()];
        for (int i = 0; i < r.length; i += TOGETHER) {
            int end = Math.min(r.length, i + TOGETHER);
            try (Autograd.Mode off = Autograd.off();
                    Scope s = Scope.open()) {
                Words words = words(texts.subList(i, end));
                Tensor joint = model.joint(features(images.subList(i, end)), words.ids, words.mask);
                Tensor p = model.matchLogits(joint).softmax(-1).select(1, 1);
                System.arraycopy(p.to(DType.FLOAT64).toDoubles(), 0, r, i, end - i);
            }
        }
        return r;
    }

    /**
     * The pictures that fit a text best, the best first.
     *
     * @param open gives the picture at a place of the index, for those that are read again
     * @param top how many are wanted
     * @param again how many of the most similar ones are read again; 0 for none
     */
    public List<Found> pictures(String text, List<float[]> index, IntFunction<Image> open, int top, int again) {
        float[][] cosines = similarity(index, List.of(text));
        double[] similarities = new double[index.size()];
        for (int i = 0; i < similarities.length; i++) {
            similarities[i] = cosines[i][0];
        }
        return ranked(similarities, top, again, some -> {
            List<Image> images = some.stream().map(open::apply).toList();
            return matches(images, some.stream().map(i -> text).toList());
        });
    }

    /**
     * The texts that fit a picture best, the best first.
     *
     * @param top how many are wanted
     * @param again how many of the most similar ones are read again; 0 for none
     */
    public List<Found> texts(Image image, List<String> texts, int top, int again) {
        float[] cosines = similarity(index(List.of(image)), texts)[0];
        double[] similarities = new double[cosines.length];
        for (int i = 0; i < similarities.length; i++) {
            similarities[i] = cosines[i];
        }
        return ranked(similarities, top, again, some -> {
            List<Image> images = some.stream().map(i -> image).toList();
            return matches(images, some.stream().map(texts::get).toList());
        });
    }

    @FunctionalInterface
    private interface Reading {
        double[] again(List<Integer> places);
    }

    private static List<Found> ranked(double[] similarities, int top, int again, Reading reading) {
        Check.positive(top, "number of results asked for");
        List<Found> all = new ArrayList<>();
        for (int i = 0; i < similarities.length; i++) {
            all.add(new Found(i, similarities[i], Double.NaN));
        }
        all.sort(Comparator.comparingDouble(Found::similarity).reversed());
        int n = Math.min(again, all.size());
        List<Integer> places = all.subList(0, n).stream().map(Found::index).toList();
        double[] matches = n == 0 ? new double[0] : reading.again(places);
        for (int i = 0; i < n; i++) {
            all.set(i, new Found(places.get(i), all.get(i).similarity(), matches[i]));
        }
        all.sort(Comparator.comparingDouble(Found::score).reversed());
        return List.copyOf(all.subList(0, Math.min(top, all.size())));
    }

    private Tensor features(List<Image> images) {
        return model.features(processor.batch(images));
    }

    /** Texts as rows, {@code [text, token]}, those that are too long for the model cut. */
    private record Words(Tensor ids, Tensor mask) {}

    private Words words(List<String> texts) {
        int longest = model.config().qformer().positions();
        List<long[]> rows = new ArrayList<>();
        for (String text : texts) {
            if (text.isBlank()) {
                throw new UserError("a text to hold pictures against is empty");
            }
            rows.add(tokenizer.encode(text, longest));
        }
        Tokenizer.Batch batch = tokenizer.pad(rows, Tokenizer.Side.RIGHT);
        int width = batch.ids()[0].length;
        return new Words(flat(batch.ids(), width), flat(batch.mask(), width));
    }

    private static Tensor flat(long[][] rows, int width) {
        return Tensor.of(Arrays.stream(rows).flatMapToLong(Arrays::stream).toArray(), rows.length, width);
    }

    @Override
    public void close() {
        tokenizer.close();
        model.close();
    }
}
